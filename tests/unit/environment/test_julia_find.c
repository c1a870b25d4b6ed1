/* The packages of a Julia script. */
#include "found_world.h"

static void test_packages(void **state)
{
        struct world world = world_new();
        er_auto(er_strv) scripts = ER_STRV_INIT;
        er_auto(er_found_list) found = ER_FOUND_LIST_INIT;
        er_autofree char *shown = NULL;

        (void)state;
        unit_put(world.project, "sim.jl",
                 "# using No\n#= using No #= using No =#\nusing No =#\n"
                 "using DataFrames, CSV: read\nusing LinearAlgebra, Random\nimport Plots as P, Flux.Optimise\n"
                 "using .Inner; using ..Outer\nx = \"using No\"; y = \"\"\"\nusing No\n\"\"\"\nz = a' ; c = 'u'; d = "
                 "'\\''\n"
                 "using JuMP: @variable, \n   No\nusing Turing,\n  Distributions\n@everywhere using Pluto\n"
                 "Pkg.add(\"HTTP\"); Pkg.add([\"JSON3\", \"YAML@0.4\"]); Pkg.add(name=\"Zygote\", version=\"0.6\")\n"
                 "Pkg.add([PackageSpec(name=\"Makie\", version=\"1\"), PackageSpec(url=\"https://x/y\")])\n"
                 "Pkg.add(\"No$x\"); Pkg.add(\"No No\"); Pkg.add(name=\"Blink\", version=\"$(v)\"); Pkg.add(\"\")\n"
                 "include(\"lib/a.jl\"); include(joinpath(@__DIR__, \"b.jl\"))\nx.using\nf(using_it)\nusing "
                 "Mine\nusing Beside\n");
        unit_put(world.project, "lib/a.jl", "using Optim\ninclude(\"../b.jl\")\ninclude(\"a.jl\")\n");
        unit_put(world.project, "b.jl", "import Statistics, IJulia\n");
        unit_put(world.project, "src/Mine.jl", "");
        unit_put(world.project, "Beside.jl", "");
        er_strv_add(&scripts, "sim.jl");
        er_strv_add(&scripts, "-e using Gen");
        er_strv_add(&scripts, "missing.jl");
        assert_int_equal(er_julia_find(world.project, &scripts, &found, NULL), 0);
        shown = world_found(&found);
        assert_string_equal(shown,
                            "Blink Blink sim.jl:19, CSV CSV sim.jl:4, DataFrames DataFrames sim.jl:4, Distributions "
                            "Distributions sim.jl:15, Flux Flux.Optimise sim.jl:6, Gen Gen -e:1, HTTP HTTP sim.jl:17, "
                            "IJulia IJulia b.jl:1, JSON3 JSON3 sim.jl:17, JuMP JuMP sim.jl:12, Makie==1 Makie "
                            "sim.jl:18, Optim Optim lib/a.jl:1, Plots Plots sim.jl:6, Pluto Pluto sim.jl:16, Turing "
                            "Turing sim.jl:14, YAML==0.4 YAML@0.4 sim.jl:17, Zygote==0.6 Zygote sim.jl:17");
        world_end(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_packages)};

        return UNIT_RUN(tests);
}
