/* digest.c - see digest.h */
#include "agent/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/io.h"
#include "base/mem.h"
#include "base/parse.h"

#define PIECE ((size_t)1 << 20)

/* The constants of SHA-512; the upper halves of the first 64 are those of SHA-256. */
static const uint64_t k512[80] = {
        0x428a2f98d728ae22ull, 0x7137449123ef65cdull, 0xb5c0fbcfec4d3b2full, 0xe9b5dba58189dbbcull,
        0x3956c25bf348b538ull, 0x59f111f1b605d019ull, 0x923f82a4af194f9bull, 0xab1c5ed5da6d8118ull,
        0xd807aa98a3030242ull, 0x12835b0145706fbeull, 0x243185be4ee4b28cull, 0x550c7dc3d5ffb4e2ull,
        0x72be5d74f27b896full, 0x80deb1fe3b1696b1ull, 0x9bdc06a725c71235ull, 0xc19bf174cf692694ull,
        0xe49b69c19ef14ad2ull, 0xefbe4786384f25e3ull, 0x0fc19dc68b8cd5b5ull, 0x240ca1cc77ac9c65ull,
        0x2de92c6f592b0275ull, 0x4a7484aa6ea6e483ull, 0x5cb0a9dcbd41fbd4ull, 0x76f988da831153b5ull,
        0x983e5152ee66dfabull, 0xa831c66d2db43210ull, 0xb00327c898fb213full, 0xbf597fc7beef0ee4ull,
        0xc6e00bf33da88fc2ull, 0xd5a79147930aa725ull, 0x06ca6351e003826full, 0x142929670a0e6e70ull,
        0x27b70a8546d22ffcull, 0x2e1b21385c26c926ull, 0x4d2c6dfc5ac42aedull, 0x53380d139d95b3dfull,
        0x650a73548baf63deull, 0x766a0abb3c77b2a8ull, 0x81c2c92e47edaee6ull, 0x92722c851482353bull,
        0xa2bfe8a14cf10364ull, 0xa81a664bbc423001ull, 0xc24b8b70d0f89791ull, 0xc76c51a30654be30ull,
        0xd192e819d6ef5218ull, 0xd69906245565a910ull, 0xf40e35855771202aull, 0x106aa07032bbd1b8ull,
        0x19a4c116b8d2d0c8ull, 0x1e376c085141ab53ull, 0x2748774cdf8eeb99ull, 0x34b0bcb5e19b48a8ull,
        0x391c0cb3c5c95a63ull, 0x4ed8aa4ae3418acbull, 0x5b9cca4f7763e373ull, 0x682e6ff3d6b2b8a3ull,
        0x748f82ee5defb2fcull, 0x78a5636f43172f60ull, 0x84c87814a1f0ab72ull, 0x8cc702081a6439ecull,
        0x90befffa23631e28ull, 0xa4506cebde82bde9ull, 0xbef9a3f7b2c67915ull, 0xc67178f2e372532bull,
        0xca273eceea26619cull, 0xd186b8c721c0c207ull, 0xeada7dd6cde0eb1eull, 0xf57d4f7fee6ed178ull,
        0x06f067aa72176fbaull, 0x0a637dc5a2c898a6ull, 0x113f9804bef90daeull, 0x1b710b35131c471bull,
        0x28db77f523047d84ull, 0x32caab7b40c72493ull, 0x3c9ebe0a15c9bebcull, 0x431d67c49c100d4cull,
        0x4cc5d4becb3e42b6ull, 0x597f299cfc657e2aull, 0x5fcb6fab3ad6faecull, 0x6c44198c4a475817ull,
};
static const uint32_t kmd5[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
static const uint32_t h256[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};
static const uint64_t h512[8] = {
        0x6a09e667f3bcc908ull, 0xbb67ae8584caa73bull, 0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull,
        0x510e527fade682d1ull, 0x9b05688c2b3e6c1full, 0x1f83d9abfb41bd6bull, 0x5be0cd19137e2179ull,
};

static const struct kind {
        const char *name;
        size_t size, block;
} kinds[] = {
        [ER_DIGEST_SHA256] = {"sha256", 32, 64},
        [ER_DIGEST_SHA512] = {"sha512", 64, 128},
        [ER_DIGEST_MD5] = {"md5", 16, 64},
};

bool er_digest_named(const char *name, size_t len, enum er_digest_kind *ret)
{
        for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
                if (strlen(kinds[i].name) != len || memcmp(kinds[i].name, name, len) != 0)
                        continue;
                *ret = (enum er_digest_kind)i;
                return true;
        }
        return false;
}

const char *er_digest_name(enum er_digest_kind kind)
{
        return kinds[kind].name;
}

size_t er_digest_size(enum er_digest_kind kind)
{
        return kinds[kind].size;
}

static uint32_t ror32(uint32_t x, unsigned n)
{
        return x >> n | x << (32 - n);
}

static uint64_t ror64(uint64_t x, unsigned n)
{
        return x >> n | x << (64 - n);
}

static uint32_t be32(const unsigned char *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const unsigned char *p)
{
        return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* One round. Afterwards what was a..h is h, a..g: the caller rotates the names instead of moving eight values. */
#define ROUND256(a, b, c, d, e, f, g, h, i)                                                                            \
        do {                                                                                                           \
                uint32_t t = h + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) + (g ^ (e & (f ^ g))) +                   \
                             (uint32_t)(k512[i] >> 32) + w[i];                                                         \
                d += t;                                                                                                \
                h = t + (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) + ((a & b) | (c & (a | b)));                       \
        } while (0)
#define ROUND512(a, b, c, d, e, f, g, h, i)                                                                            \
        do {                                                                                                           \
                uint64_t t = h + (ror64(e, 14) ^ ror64(e, 18) ^ ror64(e, 41)) + (g ^ (e & (f ^ g))) + k512[i] + w[i];  \
                d += t;                                                                                                \
                h = t + (ror64(a, 28) ^ ror64(a, 34) ^ ror64(a, 39)) + ((a & b) | (c & (a | b)));                      \
        } while (0)
#define EIGHT(ROUND, v, i)                                                                                             \
        do {                                                                                                           \
                ROUND(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], i);                                              \
                ROUND(v[7], v[0], v[1], v[2], v[3], v[4], v[5], v[6], i + 1);                                          \
                ROUND(v[6], v[7], v[0], v[1], v[2], v[3], v[4], v[5], i + 2);                                          \
                ROUND(v[5], v[6], v[7], v[0], v[1], v[2], v[3], v[4], i + 3);                                          \
                ROUND(v[4], v[5], v[6], v[7], v[0], v[1], v[2], v[3], i + 4);                                          \
                ROUND(v[3], v[4], v[5], v[6], v[7], v[0], v[1], v[2], i + 5);                                          \
                ROUND(v[2], v[3], v[4], v[5], v[6], v[7], v[0], v[1], i + 6);                                          \
                ROUND(v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[0], i + 7);                                          \
        } while (0)

static void sha256_block(uint32_t *h, const unsigned char *p)
{
        uint32_t w[64], v[8];

        for (unsigned i = 0; i < 16; i++)
                w[i] = be32(p + 4 * i);
        for (unsigned i = 16; i < 64; i++)
                w[i] = w[i - 16] + (ror32(w[i - 15], 7) ^ ror32(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
                       (ror32(w[i - 2], 17) ^ ror32(w[i - 2], 19) ^ w[i - 2] >> 10);
        memcpy(v, h, sizeof v);
        for (unsigned i = 0; i < 64; i += 8)
                EIGHT(ROUND256, v, i);
        for (unsigned i = 0; i < 8; i++)
                h[i] += v[i];
}

static void sha512_block(uint64_t *h, const unsigned char *p)
{
        uint64_t w[80], v[8];

        for (unsigned i = 0; i < 16; i++)
                w[i] = (uint64_t)be32(p + 8 * i) << 32 | be32(p + 8 * i + 4);
        for (unsigned i = 16; i < 80; i++)
                w[i] = w[i - 16] + (ror64(w[i - 15], 1) ^ ror64(w[i - 15], 8) ^ w[i - 15] >> 7) + w[i - 7] +
                       (ror64(w[i - 2], 19) ^ ror64(w[i - 2], 61) ^ w[i - 2] >> 6);
        memcpy(v, h, sizeof v);
        for (unsigned i = 0; i < 80; i += 8)
                EIGHT(ROUND512, v, i);
        for (unsigned i = 0; i < 8; i++)
                h[i] += v[i];
}

static void md5_block(uint32_t *h, const unsigned char *p)
{
        static const unsigned char turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3];

        for (unsigned i = 0; i < 64; i++) {
                uint32_t f, old = d;
                unsigned g;

                switch (i / 16) {
                case 0:
                        f = (b & c) | (~b & d);
                        g = i;
                        break;
                case 1:
                        f = (d & b) | (~d & c);
                        g = (5 * i + 1) % 16;
                        break;
                case 2:
                        f = b ^ c ^ d;
                        g = (3 * i + 5) % 16;
                        break;
                default:
                        f = c ^ (b | ~d);
                        g = 7 * i % 16;
                        break;
                }
                d = c;
                c = b;
                b += ror32(a + f + kmd5[i] + le32(p + 4 * g), 32u - turns[i / 16][i % 4]);
                a = old;
        }
        h[0] += a;
        h[1] += b;
        h[2] += c;
        h[3] += d;
}

void er_digest_begin(struct er_digest *digest, enum er_digest_kind kind)
{
        static const uint32_t md5_start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

        memset(digest, 0, sizeof *digest);
        digest->kind = kind;
        if (kind == ER_DIGEST_SHA512)
                memcpy(digest->state.w64, h512, sizeof h512);
        else if (kind == ER_DIGEST_SHA256)
                memcpy(digest->state.w32, h256, sizeof h256);
        else
                memcpy(digest->state.w32, md5_start, sizeof md5_start);
}

static void take_block(struct er_digest *digest, const unsigned char *block)
{
        if (digest->kind == ER_DIGEST_SHA512)
                sha512_block(digest->state.w64, block);
        else if (digest->kind == ER_DIGEST_SHA256)
                sha256_block(digest->state.w32, block);
        else
                md5_block(digest->state.w32, block);
}

void er_digest_add(struct er_digest *digest, const void *data, size_t len)
{
        const unsigned char *p = data;
        size_t size = kinds[digest->kind].block;

        digest->bytes += len;
        while (len > 0) {
                size_t n = size - digest->used < len ? size - digest->used : len;

                if (digest->used == 0 && len >= size) {
                        take_block(digest, p);
                        n = size;
                } else {
                        memcpy(digest->block + digest->used, p, n);
                        digest->used += n;
                        if (digest->used == size) {
                                take_block(digest, digest->block);
                                digest->used = 0;
                        }
                }
                p += n;
                len -= n;
        }
}

void er_digest_end(struct er_digest *digest, char ret_hex[ER_DIGEST_HEX])
{
        static const unsigned char zeros[128] = {0};
        const struct kind *kind = &kinds[digest->kind];
        size_t tail = kind->block / 8; /* where the length goes */
        uint64_t bits = digest->bytes * 8;
        unsigned char length[16] = {0}, bytes[(ER_DIGEST_HEX - 1) / 2];

        er_digest_add(digest, "\200", 1);
        er_digest_add(digest, zeros, (2 * kind->block - tail - digest->used) % kind->block);
        for (unsigned i = 0; i < 8; i++)
                length[digest->kind == ER_DIGEST_MD5 ? i : tail - 1 - i] = (unsigned char)(bits >> (8 * i));
        er_digest_add(digest, length, tail);
        for (size_t i = 0; i < kind->size; i++) {
                if (digest->kind == ER_DIGEST_SHA512)
                        bytes[i] = (unsigned char)(digest->state.w64[i / 8] >> (56 - 8 * (i % 8)));
                else if (digest->kind == ER_DIGEST_SHA256)
                        bytes[i] = (unsigned char)(digest->state.w32[i / 4] >> (24 - 8 * (i % 4)));
                else
                        bytes[i] = (unsigned char)(digest->state.w32[i / 4] >> (8 * (i % 4)));
        }
        er_fmt_hex(bytes, kind->size, ret_hex);
}

int er_digest_file(int dir_fd, const char *name, enum er_digest_kind kind, void (*read)(void *arg, size_t more),
                   void *arg, char ret_hex[ER_DIGEST_HEX], struct er_err *err)
{
        er_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        er_autofree unsigned char *piece = er_malloc(PIECE);
        struct er_digest digest;
        ssize_t n;

        if (fd < 0)
                return er_err_errno(err, errno, "open %s", name);
        er_digest_begin(&digest, kind);
        while ((n = er_read_full(fd, piece, PIECE)) > 0) {
                er_digest_add(&digest, piece, (size_t)n);
                if (read)
                        read(arg, (size_t)n);
        }
        if (n < 0)
                return er_err_errno(err, errno, "read %s", name);
        er_digest_end(&digest, ret_hex);
        return 0;
}
