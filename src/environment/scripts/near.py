"""near.py NAME: prints "did you mean ...?" for a package that the index ($PIP_INDEX) does not have.

The list of a small index is asked; for one that is huge or cannot tell, names that many people install. Exit status 3: the
index does not let us in, of which pip and uv say no more than that it has no such package.
"""
import base64
import difflib
import netrc
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

KNOWN = """
absl-py accelerate aiohttp albumentations altair apex argparse asyncio attrs bayesian-optimization beautifulsoup4 bitsandbytes
black bokeh boto3 botocore catboost cffi chardet click cloudpickle comet-ml contourpy cryptography cupy cvxpy cycler cython
dask datasets deepspeed diffusers dill dm-control docker einops evaluate fastai fastapi fairseq filelock flake8 flash-attn
flask flax fonttools fsspec ftfy gensim geopandas gpytorch gradio graphviz grpcio gym gymnasium h5py holoviews huggingface-hub
hydra-core hyperopt imageio imageio-ffmpeg imgaug ipykernel ipython ipywidgets jax jaxlib jinja2 joblib jsonschema jupyter
jupyterlab kaggle keras kornia lightgbm lightning lime llvmlite loguru lxml markdown matplotlib mlflow moviepy mpmath msgpack
multiprocess mypy ml-collections nbconvert networkx ninja nltk notebook numba numpy omegaconf onnx onnxruntime openai opencv-python
opencv-python-headless openpyxl optax optuna orjson packaging pandas paramiko patsy peft pillow plotly polars praw prophet
protobuf psutil psycopg2 psycopg2-binary pyarrow pybullet pycocotools pydantic pydicom pydot pygame pymc pymongo pyparsing
pyqt5 pyro-ppl pytest python-dateutil python-dotenv pytorch-lightning pytz pywavelets pyyaml pyzmq ray regex requests rich
rouge-score ruamel.yaml sacrebleu safetensors scikit-image scikit-learn scipy seaborn segment-anything sentence-transformers
sentencepiece setuptools shap shapely six sklearn-crfsuite spacy sqlalchemy stable-baselines3 statsmodels streamlit sympy
tabulate tensorboard tensorboardx tensorflow tensorflow-datasets tensorflow-probability termcolor tiktoken timm tokenizers toml
torch torchaudio torchdata torchmetrics torchtext torchvision tornado tqdm transformers trl triton typer typing-extensions
ultralytics umap-learn urllib3 uvicorn vllm wandb websockets werkzeug wheel xarray xformers xgboost yacs yfinance zarr
""".split()
OTHER = {
    "cv2": "opencv-python", "sklearn": "scikit-learn", "skimage": "scikit-image", "pil": "pillow", "yaml": "pyyaml",
    "bs4": "beautifulsoup4", "pytorch": "torch", "dotenv": "python-dotenv", "dateutil": "python-dateutil",
    "tensorflow-gpu": "tensorflow", "hydra": "hydra-core", "umap": "umap-learn", "sentence-transformer": "sentence-transformers",
}
LARGEST = 2 << 20


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def credentials(url):
    """(user, password) of the address, else of ~/.netrc, else None."""
    if url.username is not None:
        return urllib.parse.unquote(url.username), urllib.parse.unquote(url.password or "")
    try:
        login, _, password = netrc.netrc().authenticators(url.hostname)
        return login, password
    except (OSError, TypeError, netrc.NetrcParseError):
        return None


def request_for(index):
    url = urllib.parse.urlsplit(index)
    request = urllib.request.Request(urllib.parse.urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2])))
    known = credentials(url)
    if known:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(known).encode()).decode())
    return request


def listed(index):
    if not index.startswith(("http://", "https://")) or "//pypi.org/" in index:
        return []
    with urllib.request.urlopen(request_for(index.rstrip("/") + "/"), timeout=5) as answer:
        text = answer.read(LARGEST + 1)
    if len(text) > LARGEST:
        return []
    return re.findall(r"<a [^>]*>\s*([A-Za-z0-9._-]+)\s*/?\s*</a>", text.decode("utf-8", "replace"))


name = canonical(sys.argv[1])
try:
    names = [canonical(n) for n in listed(os.environ.get("PIP_INDEX", ""))]
except urllib.error.HTTPError as error:
    if error.code in (401, 403):
        sys.exit(3)
    names = []
except Exception:
    names = []
found = [OTHER[name]] if name in OTHER and (not names or OTHER[name] in names) else []
for near in difflib.get_close_matches(name, [n for n in names or KNOWN if n != name], 3, 0.7):
    if near not in found:
        found.append(near)
if found:
    print("did you mean %s?" % " or ".join(found))
