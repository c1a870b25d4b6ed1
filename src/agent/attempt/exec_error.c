/* exec_error.c - see exec_error.h */
#include "agent/attempt/exec_error.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"

#define LINE_SIZE 256 /* of "#!", in Linux */
#define LOADER_SIZE 256
#define HEADERS_MAX 64

static int open_program(int dir_fd, const char *path)
{
        return openat(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* The word after "#!", as the kernel takes it: a CR at the end of the line belongs to it. */
static bool read_interpreter(int fd, struct er_str *ret)
{
        char buf[LINE_SIZE];
        ssize_t n = er_pread_full(fd, buf, sizeof buf, 0);
        size_t start = 2, end;

        if (n < 2 || buf[0] != '#' || buf[1] != '!')
                return false;
        while (start < (size_t)n && (buf[start] == ' ' || buf[start] == '\t'))
                start++;
        for (end = start; end < (size_t)n && buf[end] != ' ' && buf[end] != '\t' && buf[end] != '\n'; end++)
                ;
        er_str_addn(ret, buf + start, end - start);
        return ret->len > 0;
}

static bool is_elf(const unsigned char ident[EI_NIDENT])
{
        return memcmp(ident, ELFMAG, SELFMAG) == 0;
}

/* The dynamic loader that a program of 64 bits names. */
static bool read_loader(int fd, struct er_str *ret)
{
        Elf64_Ehdr head;
        char buf[LOADER_SIZE];

        if (er_pread_full(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || !is_elf(head.e_ident) ||
            head.e_ident[EI_CLASS] != ELFCLASS64)
                return false;
        for (unsigned i = 0; i < head.e_phnum && i < HEADERS_MAX; i++) {
                Elf64_Phdr part;
                ssize_t n;

                if (er_pread_full(fd, &part, sizeof part, (off_t)(head.e_phoff + i * sizeof part)) !=
                    (ssize_t)sizeof part)
                        return false;
                if (part.p_type != PT_INTERP)
                        continue;
                n = er_pread_full(fd, buf, part.p_filesz < sizeof buf ? part.p_filesz : sizeof buf,
                                  (off_t)part.p_offset);
                if (n > 0)
                        er_str_addn(ret, buf, strnlen(buf, (size_t)n));
                return ret->len > 0;
        }
        return false;
}

bool er_exec_is_binary(int dir_fd, const char *path)
{
        er_autoclose int fd = open_program(dir_fd, path);
        unsigned char ident[EI_NIDENT];

        return fd >= 0 && er_pread_full(fd, ident, sizeof ident, 0) == (ssize_t)sizeof ident && is_elf(ident);
}

int er_exec_error(int dir_fd, const char *path, const char *name, int errnum, struct er_err *err)
{
        er_autoclose int fd = path ? open_program(dir_fd, path) : -1;
        er_auto(er_str) needed = ER_STR_INIT;
        er_auto(er_str) shown = ER_STR_INIT;
        er_auto(er_str) quoted = ER_STR_INIT;
        bool script = fd >= 0 && read_interpreter(fd, &needed);

        er_quote_show(&shown, name, strlen(name));
        if (errnum == ENOEXEC && path && er_exec_is_binary(dir_fd, path))
                return er_err_set(err, ER_NOT_FOUND, "cannot execute %s: it is a program for another kind of machine",
                                  shown.buf);
        if (script && needed.buf[needed.len - 1] == '\r' && (errnum == ENOENT || errnum == EACCES)) {
                er_str_cut(&needed, needed.len - 1);
                er_quote_show(&quoted, needed.buf, needed.len);
                return er_err_set(err, ER_NOT_FOUND,
                                  "cannot execute %s: its lines end with CR LF, as on Windows, so that the interpreter "
                                  "looked for is \"%s\\r\"; `sed -i 's/\\r$//' %s` mends it",
                                  shown.buf, quoted.buf, shown.buf);
        }
        if (errnum == ENOENT && (script || (fd >= 0 && read_loader(fd, &needed)))) {
                er_quote_show(&quoted, needed.buf, needed.len);
                if (script)
                        return er_err_set(err, ER_NOT_FOUND,
                                          "cannot execute %s: the interpreter that its first line names, %s, is not "
                                          "there",
                                          shown.buf, quoted.buf);
                return er_err_set(err, ER_NOT_FOUND,
                                  "cannot execute %s: it needs the loader %s, which is not there (was it built for "
                                  "another system?)",
                                  shown.buf, quoted.buf);
        }
        if (errnum == EACCES && script && faccessat(dir_fd, path, X_OK, 0) == 0) {
                er_quote_show(&quoted, needed.buf, needed.len);
                return er_err_errno(err, errnum, "cannot execute %s: its interpreter %s", shown.buf, quoted.buf);
        }
        return er_err_errno(err, errnum, "cannot execute %s", shown.buf);
}
