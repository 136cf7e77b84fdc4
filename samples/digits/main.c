/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classify one handwritten digit with the C code that mcc made of model.onnx.
 *
 *     mcc model.onnx -o digits.c
 *     cc -std=c99 -O2 main.c digits.c -lm -o digits
 *
 * The exit status is 0 only when the predicted digit is the labelled one and
 * every output is within TOLERANCE of the value known to train.py.
 */
#include <stdio.h>

#include "digits.h"
#include "image.h"

#define CLASSES 10
#define TOLERANCE 1e-4f

/* The scratch memory.  One more byte, since a model may need none at all. */
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ALIGNED _Alignas(16)
#else
#define ALIGNED
#endif

static union {
    ALIGNED unsigned char bytes[DIGITS_ARENA_SIZE + 1];
    long double widest;
    long long integer;
    void *pointer;
} arena;

static void print_image(const float *pixels)
{
    static const char shades[] = " .:-=+*#@";
    int row, column;

    for (row = 0; row < 8; row++) {
        for (column = 0; column < 8; column++) {
            /* 0..1 selects one of nine shades, two characters wide. */
            int shade = (int)(pixels[8 * row + column] * 8.0f + 0.5f);

            putchar(shades[shade]);
            putchar(shades[shade]);
        }
        putchar('\n');
    }
}

int main(void)
{
    float probabilities[CLASSES];
    float worst = 0.0f;
    int predicted = 0;
    int close = 1;
    int status, i;

    print_image(image_pixels);

    status = digits_run(image_pixels, probabilities, arena.bytes);
    if (status != 0) {
        fprintf(stderr, "digits_run failed with status %d\n", status);
        return 1;
    }

    for (i = 0; i < CLASSES; i++) {
        float difference = probabilities[i] - image_expected[i];

        if (difference < 0.0f)
            difference = -difference;
        if (!(difference < TOLERANCE)) /* also true for a NaN */
            close = 0;
        if (difference > worst)
            worst = difference;
        if (probabilities[i] > probabilities[predicted])
            predicted = i;
    }

    printf("predicted  %d, score %.6f\n", predicted,
           (double)probabilities[predicted]);
    printf("expected   %d\n", image_label);
    printf("largest difference to the expected outputs  %.3g\n",
           (double)worst);

    if (predicted == image_label && close)
        return 0;
    puts("FAILED");
    return 1;
}
