/*
 * hash.h - SHA-256 (FIPS 180-4) by OpenSSL. Not for the agent, which links no OpenSSL.
 */
#ifndef ER_BASE_HASH_H
#define ER_BASE_HASH_H

#include "base/err.h"
#include "base/str.h"

#define ER_HASH_LEN 32
#define ER_HASH_HEX 65 /* with the NUL */

struct er_hash {
        unsigned char bytes[ER_HASH_LEN];
};
struct er_hasher {
        void *ctx; /* (owned) SHA256_CTX, reusable after _end */
};
int er_hasher_init(struct er_hasher *h, struct er_err *err);
void er_hasher_release(struct er_hasher *h);
void er_hasher_begin(struct er_hasher *h);
void er_hasher_add(struct er_hasher *h, const void *data, size_t len);
void er_hasher_end(struct er_hasher *h, struct er_hash *ret);
void er_hash_hex(const struct er_hash *hash, char ret[ER_HASH_HEX]);

#endif
