/* Which scripts a command line runs. */
#include "found_world.h"

static char *joined(const struct er_strv *list)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < list->len; i++)
                er_str_addf(&out, "%s%s", i > 0 ? " | " : "", list->items[i]);
        return er_str_detach(&out);
}

static void lay_out(struct world *world)
{
        static const char *const files[] = {"train.py",       "tools/x.py",          "pkg/__init__.py",
                                            "pkg/train.py",   "pkg/cli/__main__.py", "src/lay/__init__.py",
                                            "src/lay/main.py"};

        for (size_t i = 0; i < ER_LEN(files); i++)
                unit_put(world->project, files[i], "");
        unit_put(world->project, "self", "#!/usr/bin/env python3\nimport a\n");
        unit_put(world->project, "run.sh",
                 "#!/bin/bash\n# python no.py\nset -e\ncd tools\npython x.py --flag \\\n  'a;b' > log 2>&1\ncat "
                 "<<EOF\npython no.py\nEOF\n");
        unit_put(world->project, "loop.sh", "bash loop.sh; python train.py");
        unit_put(world->project, "sim.jl", "");
}

static void test_lines(void **state)
{
        static const struct {
                const char *line, *expected;
        } cases[] = {
                {"true", ""},
                {"python train.py", "train.py"},
                {"/usr/bin/python3.11 -u ./train.py --lr 1 other.py", "train.py"},
                {"python3 -W ignore -X dev -Werror -OO train.py", "train.py"},
                {"python3.13t -bB -I train.py", "train.py"},
                {"pypy3 train.py", "train.py"},
                {"python -m pkg.train", "pkg/train.py | pkg/__init__.py"},
                {"python -um pkg.cli --x", "pkg/cli/__main__.py | pkg/__init__.py"},
                {"python -m lay.main", "src/lay/main.py | src/lay/__init__.py"},
                {"python -m pytest tests", "-m pytest | -t "},
                {"python -m torch.distributed.run --nproc_per_node 2 train.py", "-m torch.distributed.run | train.py"},
                {"python -c 'import a; print(1)'", "-c import a; print(1)"},
                {"python - < train.py", ""},
                {"python", ""},
                {"pythonic train.py", ""},
                {"CUDA_VISIBLE_DEVICES=0 A='x y' python train.py", "train.py"},
                {"env -u B A=1 nohup time nice -n 5 python train.py &", "train.py"},
                {"timeout -k 5 10m python train.py", "train.py"},
                {"uv run train.py --x", "train.py"},
                {"uv run --with rich python train.py", "train.py"},
                {"poetry run python train.py", "train.py"},
                {"conda run -n base python train.py", "train.py"},
                {"torchrun --standalone --nproc-per-node 4 train.py --lr 1", "-m torch | train.py"},
                {"torchrun --nproc_per_node=4 -m pkg.train", "-m torch | pkg/train.py | pkg/__init__.py"},
                {"accelerate launch --num_processes 2 --multi_gpu train.py", "-m accelerate | train.py"},
                {"deepspeed --num_gpus=2 train.py --deepspeed c.json", "-m deepspeed | train.py"},
                {"mpirun -np 4 python train.py", "train.py"},
                {"streamlit run train.py", "-m streamlit | train.py"},
                {"uvicorn pkg.train:app --port 80", "-m uvicorn | pkg/train.py | pkg/__init__.py"},
                {"pytest -x tools/x.py", "-m pytest | tools/x.py"},
                {"python3 -m cProfile -o p.out -s time train.py --x", "train.py"},
                {"python -m pdb -c continue train.py", "train.py"},
                {"python -m cProfile -m pkg.train", "pkg/train.py | pkg/__init__.py"},
                {"python -m trace --count -C out train.py", "train.py"},
                {"python -m doctest -v train.py tools/x.py", "train.py | tools/x.py"},
                {"python -m unittest tools.x.Case.test_y", "tools/x.py"},
                {"python -m unittest discover -s tools", "-t tools"},
                {"python -m unittest", "-t "},
                {"python -m coverage run --source pkg train.py", "-m coverage | train.py"},
                {"coverage run -m pytest tools", "-m coverage | -m pytest"},
                {"python -m pytest tools/x.py::test_a", "-m pytest | tools/x.py"},
                {"pytest -q", "-m pytest | -t "},
                {"pytest tools -x", "-m pytest | -t tools"},
                {"papermill n.ipynb out.ipynb", "-m papermill | -m ipykernel"},
                {"python -m papermill n.ipynb out.ipynb", "-m papermill | -m ipykernel"},
                {"./self --x", "self"},
                {"cd tools && python x.py; python ../train.py", "tools/x.py | train.py"},
                {"mkdir -p out || exit 1; (python train.py | tee log)", "train.py"},
                {"for i in 1 2; do python train.py $i; done", "train.py"},
                {"if true; then python train.py; else python tools/x.py; fi", "train.py | tools/x.py"},
                {"echo python train.py", ""},
                {"echo 'a' # python train.py", ""},
                {"x=$(python train.py)", "train.py"},
                {"bash run.sh", "tools/x.py"},
                {"bash -ec 'python train.py'", "train.py"},
                {"bash loop.sh", "train.py"},
                {"./run.sh", "tools/x.py"},
                {". run.sh", "tools/x.py"},
                {"python /outside/of.py", ""},
                {"python ../../x.py", ""},
                {"python 'unclosed", "unclosed"},
                {"julia sim.jl", ""},
        };
        struct world world = world_new();

        (void)state;
        lay_out(&world);
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_strv) command = ER_STRV_INIT, scripts = ER_STRV_INIT;
                er_autofree char *shown = NULL;

                er_strv_add(&command, cases[i].line);
                er_imports_scripts_of(world.project, NULL, &command, true, &scripts);
                shown = joined(&scripts);
                if (!er_streq(shown, cases[i].expected))
                        fail_msg("%s\ngives \"%s\", not \"%s\"", cases[i].line, shown, cases[i].expected);
        }
        world_end(&world);
}

static void test_words(void **state)
{
        struct world world = world_new();
        er_auto(er_strv) command = ER_STRV_INIT, scripts = ER_STRV_INIT;
        er_autofree char *whole = NULL;

        (void)state;
        lay_out(&world);
        er_strv_add(&command, "python");
        er_strv_add(&command, "x.py");
        er_strv_add(&command, "a b; python no.py");
        er_imports_scripts_of(world.project, "tools", &command, false, &scripts);
        assert_int_equal(scripts.len, 1);
        assert_string_equal(scripts.items[0], "tools/x.py");
        er_strv_release(&scripts);
        whole = er_fmt("%s/train.py", world.project);
        free(command.items[1]);
        command.items[1] = er_strdup(whole);
        er_imports_scripts_of(world.project, NULL, &command, false, &scripts);
        assert_string_equal(scripts.items[0], "train.py");
        er_strv_release(&scripts);
        er_imports_scripts_of(world.project, NULL, NULL, false, &scripts);
        assert_int_equal(scripts.len, 0);
        world_end(&world);
}

static void test_julia(void **state)
{
        struct world world = world_new();
        er_auto(er_strv) command = ER_STRV_INIT, scripts = ER_STRV_INIT;
        er_autofree char *shown = NULL;

        (void)state;
        lay_out(&world);
        er_strv_add(&command, "python train.py && JULIA_NUM_THREADS=2 julia -t 4 --project --project=. -e 'using A' ; "
                              "julia -O3 sim.jl 5");
        er_julia_scripts_of(world.project, NULL, &command, true, &scripts);
        shown = joined(&scripts);
        assert_string_equal(shown, "-e using A | sim.jl");
        world_end(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_words),
                                           cmocka_unit_test(test_julia)};

        return UNIT_RUN(tests);
}
