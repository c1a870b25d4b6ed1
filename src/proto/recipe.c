/* recipe.c - see recipe.h */
#include "proto/recipe.h"

#include "base/mem.h"
#include "proto/msg.h"

/* On hosts' disks and in stores: never change a number or use it again. Types as in wire.h. */
enum recipe_tag {
        R_HASH = 1,        /* s: ER_ENV_HASH bytes */
        R_SUMMARY = 2,     /* s */
        R_DECLARATION = 3, /* s */
        R_FILE = 4,        /* m*: the following */
        R_NAME = 5,        /* s */
        R_MODE = 6,        /* u */
        R_DATA = 7,        /* s: the content */
        R_PATH = 8,        /* s: or its path on the submitter's machine, */
        R_SIZE = 9,        /* u: with its size */
        R_CONTENT = 10,    /* s: and hash */
        R_SECRET = 11,     /* s*: the name of a variable */
};

#define FILES_MAX 4096u

void er_recipe_release(struct er_recipe *recipe)
{
        for (size_t i = 0; i < recipe->file_count; i++) {
                free(recipe->files[i].name);
                free(recipe->files[i].path);
                er_str_release(&recipe->files[i].data);
        }
        free(recipe->files);
        free(recipe->summary);
        free(recipe->declaration);
        er_strv_release(&recipe->secrets);
        er_strv_wipe(&recipe->values);
        *recipe = (struct er_recipe)ER_RECIPE_INIT;
}

struct er_recipe_file *er_recipe_add(struct er_recipe *recipe, const char *name, struct er_sv data, uint32_t mode)
{
        struct er_recipe_file *file;

        recipe->files = er_grow(recipe->files, &recipe->file_cap, recipe->file_count + 1, sizeof *recipe->files);
        file = &recipe->files[recipe->file_count++];
        *file = (struct er_recipe_file){.name = er_strdup(name), .data = ER_STR_INIT, .mode = mode};
        er_str_addn(&file->data, data.ptr, data.len);
        return file;
}

void er_recipe_encode(const struct er_recipe *recipe, struct er_str *out)
{
        er_auto(er_str) inner = ER_STR_INIT;

        er_msg_bytes(out, R_HASH, recipe->hash, ER_ENV_HASH);
        er_msg_text(out, R_SUMMARY, recipe->summary);
        er_msg_text(out, R_DECLARATION, recipe->declaration);
        for (size_t i = 0; i < recipe->secrets.len; i++)
                er_msg_text(out, R_SECRET, recipe->secrets.items[i]);
        for (size_t i = 0; i < recipe->file_count; i++) {
                const struct er_recipe_file *file = &recipe->files[i];

                er_str_reset(&inner);
                er_msg_text(&inner, R_NAME, file->name);
                er_msg_u64(&inner, R_MODE, file->mode);
                if (file->path) {
                        er_msg_text(&inner, R_PATH, file->path);
                        er_msg_u64(&inner, R_SIZE, file->size);
                        er_msg_bytes(&inner, R_CONTENT, file->hash, ER_ENV_HASH);
                } else {
                        er_msg_bytes(&inner, R_DATA, file->data.buf, file->data.len);
                }
                er_msg_bytes(out, R_FILE, inner.buf, inner.len);
        }
}

/* Anything shorter would be found everywhere. A user's name is not secret, but a token may stand in its place. */
#define MASKED_MIN 4
#define MASKED_USER_MIN 16

static int hex_digit(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

/* As written, and as the server gets it. */
static void add_masked(struct er_strv *words, struct er_sv text)
{
        er_auto(er_str) plain = ER_STR_INIT;

        if (text.len < MASKED_MIN)
                return;
        for (size_t i = 0; i < text.len; i++) {
                int high = text.ptr[i] == '%' && i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
                int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;

                er_str_addc(&plain, low >= 0 && high + low > 0 ? (char)(high * 16 + low) : text.ptr[i]);
                i += low >= 0 && high + low > 0 ? 2 : 0;
        }
        er_strv_addn(words, text.ptr, text.len);
        if (plain.len >= MASKED_MIN && !er_sv_eq(text, er_svn(plain.buf, plain.len)) && !strchr(plain.buf, '\n'))
                er_strv_add(words, plain.buf);
        explicit_bzero(plain.buf, plain.len);
}

static int longer_first(const void *a, const void *b)
{
        size_t first = strlen(*(char *const *)a), second = strlen(*(char *const *)b);

        return first < second ? 1 : first > second ? -1 : 0;
}

/* The whole, and the password or token alone, as tools show them; one per line, longer ones before parts of
   themselves. */
static void add_mask(const struct er_strv *values, struct er_str *out)
{
        struct er_strv words = ER_STRV_INIT;

        for (size_t i = 0; i < values->len; i++) {
                struct er_sv rest = er_sv(values->items[i] + strcspn(values->items[i], "=")), line;

                er_sv_cut(&rest, '=', &line);
                while (er_sv_cut(&rest, '\n', &line)) {
                        struct er_sv password = line, user;

                        add_masked(&words, line);
                        if (!er_sv_cut(&password, ':', &user) || !password.ptr)
                                continue;
                        add_masked(&words, password);
                        if (user.len >= MASKED_USER_MIN)
                                add_masked(&words, user);
                }
        }
        if (words.len)
                qsort(words.items, words.len, sizeof *words.items, longer_first);
        for (size_t i = 0; i < words.len; i++)
                er_str_addf(out, "%s%s", i ? "\n" : "", words.items[i]);
        er_strv_wipe(&words);
}

void er_recipe_vars(const struct er_strv *values, struct er_strv *env)
{
        er_auto(er_str) names = ER_STR_INIT;
        er_auto(er_str) masked = ER_STR_INIT;

        for (size_t i = 0; i < values->len; i++)
                er_str_addf(&names, "%s%.*s", i ? " " : "", (int)strcspn(values->items[i], "="), values->items[i]);
        add_mask(values, &masked);
        er_strv_addf(env, "ERRAND_SECRETS=%s", names.buf ? names.buf : "");
        er_strv_addf(env, "ERRAND_MASKED=%s", masked.buf ? masked.buf : "");
        er_strv_addall(env, values->items, values->len);
        if (masked.buf)
                explicit_bzero(masked.buf, masked.len);
}

static int damaged(struct er_recipe *recipe, struct er_err *err, const char *what)
{
        er_recipe_release(recipe);
        return er_err_set(err, ER_REMOTE, "a damaged environment recipe: %s", what);
}

static bool is_text(struct er_sv value)
{
        return value.len > 0 && !memchr(value.ptr, '\0', value.len);
}

/* One component of a path, since it is written below files/. */
static bool is_name(struct er_sv value)
{
        return is_text(value) && value.len <= 255 && value.ptr[0] != '.' && !memchr(value.ptr, '/', value.len);
}

/* A variable's name, which will appear in shell code. */
static bool is_variable(struct er_sv value)
{
        for (size_t i = 0; i < value.len; i++)
                if (!(value.ptr[i] >= 'A' && value.ptr[i] <= 'Z') && value.ptr[i] != '_' &&
                    (i == 0 || value.ptr[i] < '0' || value.ptr[i] > '9'))
                        return false;
        return value.len > 0;
}

static bool take_file(struct er_recipe *recipe, struct er_sv fields)
{
        struct er_sv name = er_msg_get(fields, R_NAME);
        struct er_sv path = er_msg_get(fields, R_PATH);
        struct er_sv content = er_msg_get(fields, R_CONTENT);
        struct er_recipe_file *file;
        er_autofree char *text = NULL;

        if (!er_msg_is_sound(fields) || !is_name(name) || recipe->file_count >= FILES_MAX ||
            (path.ptr && (!is_text(path) || content.len != ER_ENV_HASH)))
                return false;
        text = er_sv_dup(name);
        file = er_recipe_add(recipe, text, er_msg_get(fields, R_DATA),
                             (uint32_t)er_msg_get_u64(fields, R_MODE, 0600) & 0777u);
        if (path.ptr) {
                file->path = er_sv_dup(path);
                file->size = er_msg_get_u64(fields, R_SIZE, 0);
                memcpy(file->hash, content.ptr, ER_ENV_HASH);
        }
        return true;
}

int er_recipe_decode(struct er_sv data, struct er_recipe *ret, struct er_err *err)
{
        struct er_recipe recipe = ER_RECIPE_INIT;
        struct er_sv hash = er_msg_get(data, R_HASH);
        struct er_field f;

        if (data.len > ER_RECIPE_MAX)
                return damaged(&recipe, err, "too large");
        if (!er_msg_is_sound(data))
                return damaged(&recipe, err, "a field is cut short");
        if (hash.len != ER_ENV_HASH)
                return damaged(&recipe, err, "no hash");
        memcpy(recipe.hash, hash.ptr, ER_ENV_HASH);
        while (er_msg_next(&data, &f)) {
                char **text = f.tag == R_SUMMARY       ? &recipe.summary
                              : f.tag == R_DECLARATION ? &recipe.declaration
                                                       : NULL;

                if (text) {
                        if (!is_text(f.value))
                                return damaged(&recipe, err, "a NUL byte in text");
                        free(*text);
                        *text = er_sv_dup(f.value);
                } else if (f.tag == R_FILE && !take_file(&recipe, f.value)) {
                        return damaged(&recipe, err, "an invalid file");
                } else if (f.tag == R_SECRET) {
                        if (!is_variable(f.value))
                                return damaged(&recipe, err, "an invalid variable");
                        er_strv_addn(&recipe.secrets, f.value.ptr, f.value.len);
                }
        }
        *ret = recipe;
        return 0;
}
