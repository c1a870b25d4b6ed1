/* machine_dir.c - see machine_dir.h */
#include "agent/attempt/machine_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/path.h"

static int open_in(const char *dir, const char *name)
{
        er_autofree char *path = er_path_join(dir, name);
        struct stat st;
        int fd;

        if (mkdir(dir, 01777) == 0)
                (void)!chmod(dir, 01777); /* whatever the umask */
        if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
                return -1;
        /* Without O_CREAT first: in a sticky directory, O_CREAT is refused for another user's file
           (fs.protected_regular). */
        fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT) {
                fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
                if (fd >= 0)
                        (void)!fchmod(fd, 0666);
                else if (errno == EEXIST)
                        fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        }
        if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
                er_close(&fd);
        return fd;
}

int er_machine_dir_ledger(const struct er_agent *agent, char **ret_dir)
{
        const char *chosen = getenv("ERRAND_LEDGER");
        er_autofree char *chosen_dir = chosen && chosen[0] ? er_path_dir(chosen) : NULL;
        const char *dirs[] = {"/dev/shm/errand", "/tmp/errand", agent->root};
        int fd = -1;

        if (chosen_dir) {
                fd = open_in(chosen_dir, er_path_base(chosen));
                if (fd >= 0 && ret_dir)
                        *ret_dir = er_strdup(chosen_dir);
        }
        for (size_t i = 0; i < ER_LEN(dirs) && fd < 0; i++) {
                struct stat st;

                if (i == 0 && stat("/dev/shm", &st) < 0)
                        continue;
                fd = open_in(dirs[i], "ledger");
                if (fd >= 0 && ret_dir)
                        *ret_dir = er_strdup(dirs[i]);
        }
        return fd;
}

char *er_machine_dir(const struct er_agent *agent)
{
        char *dir = NULL;
        int fd = er_machine_dir_ledger(agent, &dir);

        er_close(&fd);
        return dir;
}
