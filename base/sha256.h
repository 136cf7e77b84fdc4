/*
 * SHA-256 (FIPS 180-4), to name the model that a file was generated from.
 */
#ifndef MCC_BASE_SHA256_H
#define MCC_BASE_SHA256_H

#include <stddef.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };

void sha256(const void *data, size_t size, unsigned char digest[SHA256_BYTES]);

/* The digest as 64 lower-case hexadecimal digits, terminated. */
void sha256_hex(const void *data, size_t size, char text[SHA256_HEX]);

#endif
