/*
 * digest.h - SHA-256, SHA-512 (FIPS 180-4) and MD5 (RFC 1321) of a file: the agent links no library that has them, and
 * a host may lack sha256sum. For published checksums, not for secrets.
 */
#ifndef ER_AGENT_DIGEST_H
#define ER_AGENT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum er_digest_kind { ER_DIGEST_SHA256, ER_DIGEST_SHA512, ER_DIGEST_MD5 };
#define ER_DIGEST_HEX 129 /* of the longest, with the NUL */

struct er_digest {
        enum er_digest_kind kind;
        union {
                uint32_t w32[8];
                uint64_t w64[8];
        } state;
        uint64_t bytes;
        unsigned char block[128];
        size_t used;
};

/* "sha256", "sha512", "md5"; false for others. */
bool er_digest_named(const char *name, size_t len, enum er_digest_kind *ret);
const char *er_digest_name(enum er_digest_kind kind);
size_t er_digest_size(enum er_digest_kind kind); /* bytes */
void er_digest_begin(struct er_digest *digest, enum er_digest_kind kind);
void er_digest_add(struct er_digest *digest, const void *data, size_t len);
void er_digest_end(struct er_digest *digest, char ret_hex[ER_DIGEST_HEX]);
/* Of a file (symlinks are refused); `read` (may be NULL) is called with the number of bytes just read. */
int er_digest_file(int dir_fd, const char *name, enum er_digest_kind kind, void (*read)(void *arg, size_t more),
                   void *arg, char ret_hex[ER_DIGEST_HEX], struct er_err *err);

#endif
