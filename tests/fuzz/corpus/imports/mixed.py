"""doc
import nope
"""
import os, sys as s, a.b.c
from x.y import (p, # hi
   q as r,
)
from . import rel; from ..up import z
if TYPE_CHECKING:
    import never1
else:
    import yes1
if sys.platform == "win32": import win32api
elif os.name == 'nt':
    import never2
else: import yes2
try:
    import ujson as json
except ImportError:
    import json
def f():
    try: import torch
    except (ImportError, OSError) as e:
        raise RuntimeError("x")
    import inner; x = f"import nope {a['b']}"
with suppress(ImportError):
    import supp
m = importlib.import_module("dyn.mod")
__import__('dyn2')
import_module(f"no{x}")
foo(
import after
if not sys.platform.startswith("win"): import yes3
if sys.version_info >= (3, 8): from importlib import metadata
else: import importlib_metadata
import k\
   , l
