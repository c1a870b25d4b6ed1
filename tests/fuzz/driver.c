/* driver.c - runs a fuzz target over every file of the directories given, and over nothing at all. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include "base/io.h"
#include "base/path.h"

static size_t run_directory(const char *path)
{
        DIR *dir = opendir(path);
        const struct dirent *entry;
        size_t count = 0;

        if (!dir) {
                fprintf(stderr, "%s: no such corpus\n", path);
                exit(1);
        }
        while ((entry = readdir(dir))) {
                er_autofree char *file = er_path_join(path, entry->d_name);
                er_auto(er_str) content = ER_STR_INIT;

                if (entry->d_name[0] == '.' || er_file_read(AT_FDCWD, file, 1 << 24, &content, NULL) < 0)
                        continue;
                printf("%s\n", file);
                fflush(stdout); /* the last one named is the one that ended it */
                LLVMFuzzerTestOneInput((const uint8_t *)content.buf, content.len);
                count++;
        }
        closedir(dir);
        return count;
}

int main(int argc, char **argv)
{
        size_t count = 0;

        LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
        for (int i = 1; i < argc; i++)
                count += run_directory(argv[i]);
        printf("%zu files\n", count);
        return count > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
