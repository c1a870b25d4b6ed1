/* hash.c - see hash.h */
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* fetched once: looking it up costs more than hashing a small file */

static void fetch(void)
{
        /* Without the system's openssl.cnf: reading it takes longer than all the rest, and we need none of it. */
        OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int er_hasher_init(struct er_hasher *h, struct er_err *err)
{
        pthread_once(&once, fetch);
        if (!sha256)
                return er_err_set(err, ER_INTERNAL, "OpenSSL has no SHA-256");
        h->ctx = EVP_MD_CTX_new();
        if (!h->ctx)
                abort(); /* out of memory */
        return 0;
}

void er_hasher_release(struct er_hasher *h)
{
        EVP_MD_CTX_free(h->ctx);
        h->ctx = NULL;
}

/* None of the calls below can fail on a context that init made, save for a bug. */
void er_hasher_begin(struct er_hasher *h)
{
        if (EVP_DigestInit_ex(h->ctx, sha256, NULL) != 1)
                abort();
}

void er_hasher_add(struct er_hasher *h, const void *data, size_t len)
{
        if (EVP_DigestUpdate(h->ctx, data, len) != 1)
                abort();
}

void er_hasher_end(struct er_hasher *h, struct er_hash *ret)
{
        unsigned int len = ER_HASH_LEN;

        if (EVP_DigestFinal_ex(h->ctx, ret->bytes, &len) != 1 || len != ER_HASH_LEN)
                abort();
}

void er_hash_hex(const struct er_hash *hash, char ret[ER_HASH_HEX])
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < ER_HASH_LEN; i++) {
                ret[2 * i] = digits[hash->bytes[i] >> 4];
                ret[2 * i + 1] = digits[hash->bytes[i] & 15];
        }
        ret[ER_HASH_HEX - 1] = '\0';
}
