/* requirement.c - see requirement.h */
#include "environment/requirement.h"

char *er_distribution_name(struct er_sv name)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < name.len; i++) {
                char c = name.ptr[i];

                if (c == '-' || c == '_' || c == '.') {
                        if (out.len == 0 || out.buf[out.len - 1] != '-')
                                er_str_addc(&out, '-');
                } else {
                        er_str_addc(&out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
                }
        }
        return er_str_detach(&out);
}

static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* How long the name at the front is; 0: there is none. */
static size_t name_len(struct er_sv s)
{
        size_t len = 0;

        while (len < s.len && (is_alnum(s.ptr[len]) || s.ptr[len] == '.' || s.ptr[len] == '_' || s.ptr[len] == '-'))
                len++;
        if (!len || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[len - 1]))
                return 0;
        return len;
}

/* Copies with white space outside of quotes left out (tight) or made one blank. */
static void add_spaced(struct er_str *out, struct er_sv s, bool tight)
{
        char quote = 0;
        bool pending = false;
        size_t start = out->len;

        for (size_t i = 0; i < s.len; i++) {
                char c = s.ptr[i];

                if (!quote && er_req_is_space(c)) {
                        pending = true;
                        continue;
                }
                if (pending && !tight && out->len > start)
                        er_str_addc(out, ' ');
                pending = false;
                if (c == '\'' || c == '"')
                        quote = !quote ? c : quote == c ? (char)0 : quote;
                er_str_addc(out, c);
        }
}

bool er_req_add_extras(struct er_str *out, struct er_sv inner)
{
        er_auto(er_strv) extras = ER_STRV_INIT;
        struct er_sv part;

        while (er_sv_cut(&inner, ',', &part)) {
                part = er_sv_trim(part);
                if (!part.len)
                        continue;
                if (name_len(part) != part.len)
                        return false;
                er_strv_take(&extras, er_distribution_name(part));
        }
        er_strv_sort(&extras);
        for (size_t i = 0; i < extras.len; i++)
                er_str_addf(out, "%c%s", i ? ',' : '[', extras.items[i]);
        if (extras.len)
                er_str_addc(out, ']');
        return true;
}

static bool is_specifier(struct er_sv s)
{
        static const char *const operators[] = {"===", "==", "~=", "!=", "<=", ">=", "<", ">"};
        struct er_sv part;

        while (er_sv_cut(&s, ',', &part)) {
                size_t n = 0;

                part = er_sv_trim(part);
                if (!part.len)
                        continue; /* a comma at the end is allowed by both tools */
                for (size_t i = 0; i < ER_LEN(operators) && !n; i++)
                        if (er_sv_starts(part, er_sv(operators[i])))
                                n = strlen(operators[i]);
                part = er_sv_trim(er_req_from(part, n));
                if (!n || !part.len)
                        return false;
                for (size_t i = 0; i < part.len; i++)
                        if (!is_alnum(part.ptr[i]) && !strchr("._-+!*$", part.ptr[i]))
                                return false;
        }
        return true;
}

/* ">=1.2.*": neither tool takes it, and uv says so without the place. */
static bool has_odd_star(struct er_sv s)
{
        struct er_sv part;

        while (er_sv_cut(&s, ',', &part)) {
                part = er_sv_trim(part);
                if (part.len > 2 && part.ptr[part.len - 1] == '*' && part.ptr[part.len - 2] == '.' &&
                    !er_sv_starts(part, ER_SV("==")) && !er_sv_starts(part, ER_SV("!=")))
                        return true;
        }
        return false;
}

size_t er_req_find_marker(struct er_sv s, bool url)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] == ';' && (!url || (i && er_req_is_space(s.ptr[i - 1]))))
                        return i;
        return s.len;
}

size_t er_req_find_options(struct er_sv s)
{
        for (size_t i = 1; i + 2 < s.len; i++)
                if (er_req_is_space(s.ptr[i - 1]) && s.ptr[i] == '-' && s.ptr[i + 1] == '-')
                        return i;
        return s.len;
}

void er_req_add_tail(struct er_str *out, struct er_sv marker, struct er_sv options)
{
        marker = er_sv_trim(marker);
        options = er_sv_trim(options);
        if (marker.len) {
                er_str_add(out, " ; ");
                add_spaced(out, marker, false);
        }
        if (options.len) {
                er_str_addc(out, ' ');
                add_spaced(out, options, false);
        }
}

char *er_requirement_canonical(struct er_sv text, const char **ret_why)
{
        er_auto(er_str) out = ER_STR_INIT;
        struct er_sv rest = er_sv_trim(text), options, marker, spec;
        size_t n = er_req_find_options(rest);
        er_autofree char *name = NULL;

        options = er_req_from(rest, n);
        rest.len = n;
        n = memchr(text.ptr, '\0', text.len) ? 0 : name_len(rest);
        if (!n) {
                *ret_why = "it does not begin with a name";
                return NULL;
        }
        name = er_distribution_name(er_svn(rest.ptr, n));
        er_str_add(&out, name);
        rest = er_req_skip_space(er_req_from(rest, n));
        if (rest.len && rest.ptr[0] == '[') {
                const char *end = memchr(rest.ptr, ']', rest.len);

                if (!end || !er_req_add_extras(&out, er_svn(rest.ptr + 1, (size_t)(end - rest.ptr) - 1))) {
                        *ret_why = "what is in [ ] must be names of extras";
                        return NULL;
                }
                rest = er_req_skip_space(er_req_from(rest, (size_t)(end - rest.ptr) + 1));
        }
        if (rest.len && rest.ptr[0] == '@') {
                rest = er_req_skip_space(er_req_from(rest, 1));
                n = er_req_find_marker(rest, true);
                marker = n < rest.len ? er_req_from(rest, n + 1) : er_svn("", 0);
                spec = er_sv_trim(er_svn(rest.ptr, n));
                if (!spec.len || spec.ptr[0] == '-') {
                        *ret_why = "there is no URL after the @";
                        return NULL;
                }
                for (size_t i = 0; i < spec.len; i++)
                        if (er_req_is_space(spec.ptr[i])) {
                                *ret_why = "there is white space in the URL";
                                return NULL;
                        }
                er_str_add(&out, " @ ");
                er_str_addn(&out, spec.ptr, spec.len);
        } else {
                n = er_req_find_marker(rest, false);
                marker = n < rest.len ? er_req_from(rest, n + 1) : er_svn("", 0);
                spec = er_sv_trim(er_svn(rest.ptr, n));
                if (spec.len >= 2 && spec.ptr[0] == '(' && spec.ptr[spec.len - 1] == ')')
                        spec = er_sv_trim(er_svn(spec.ptr + 1, spec.len - 2));
                if (has_odd_star(spec)) {
                        *ret_why = ".* goes with == and != alone: write >=1.2 for >=1.2.*";
                        return NULL;
                }
                if (!is_specifier(spec)) {
                        *ret_why = "after the name, a version looks like ==1.2 or >=1.2,<2";
                        return NULL;
                }
                add_spaced(&out, spec, true);
        }
        if (er_sv_starts(er_sv_trim(marker), ER_SV("-"))) {
                *ret_why = "an option needs a space before it";
                return NULL;
        }
        er_req_add_tail(&out, marker, options);
        return er_str_detach(&out);
}
