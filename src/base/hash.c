/*
 * hash.c - see hash.h
 *
 * Uses SHA256_*, which OpenSSL 3 calls deprecated, instead of EVP: EVP pulls in all of libcrypto, and relocating its
 * tables took a fifth of the time that `errand` needs to start. The assembly code below is the same.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <openssl/sha.h>
#include "base/mem.h"
#include "base/parse.h"

_Static_assert(ER_HASH_LEN == SHA256_DIGEST_LENGTH, "the length of a hash");

int er_hasher_init(struct er_hasher *h, struct er_err *err)
{
        (void)err;
        h->ctx = er_calloc(1, sizeof(SHA256_CTX));
        return 0;
}

void er_hasher_release(struct er_hasher *h)
{
        free(h->ctx);
        h->ctx = NULL;
}

/* None of the calls below can fail, except through a bug. */
void er_hasher_begin(struct er_hasher *h)
{
        if (SHA256_Init(h->ctx) != 1)
                abort();
}

void er_hasher_add(struct er_hasher *h, const void *data, size_t len)
{
        if (SHA256_Update(h->ctx, data, len) != 1)
                abort();
}

void er_hasher_end(struct er_hasher *h, struct er_hash *ret)
{
        if (SHA256_Final(ret->bytes, h->ctx) != 1)
                abort();
}

void er_hash_hex(const struct er_hash *hash, char ret[ER_HASH_HEX])
{
        er_fmt_hex(hash->bytes, ER_HASH_LEN, ret);
}
