/* Written by train.py: image 0 of test_x.npy. */
#ifndef SAMPLES_DIGITS_IMAGE_H
#define SAMPLES_DIGITS_IMAGE_H

static const int image_label = 0;

/* 8 rows of 8 pixels, 0 is background, 1 is ink. */
static const float image_pixels[64] = {
    0.0000f, 0.0000f, 0.1250f, 0.7500f, 0.5625f, 0.0000f, 0.0000f, 0.0000f,
    0.0000f, 0.0000f, 0.6875f, 0.9375f, 0.7500f, 0.3125f, 0.0000f, 0.0000f,
    0.0000f, 0.0000f, 0.9375f, 0.3125f, 0.0000f, 0.8750f, 0.0000f, 0.0000f,
    0.0000f, 0.1250f, 0.9375f, 0.0625f, 0.0000f, 0.5625f, 0.4375f, 0.0000f,
    0.0000f, 0.2500f, 0.6250f, 0.0000f, 0.0000f, 0.4375f, 0.5000f, 0.0000f,
    0.0000f, 0.0000f, 0.7500f, 0.0000f, 0.0000f, 0.5000f, 0.6250f, 0.0000f,
    0.0000f, 0.1250f, 0.9375f, 0.3125f, 0.6250f, 1.0000f, 0.0625f, 0.0000f,
    0.0000f, 0.0000f, 0.3125f, 0.8750f, 0.7500f, 0.2500f, 0.0000f, 0.0000f
};

/* The ten probabilities, computed by train.py in double precision. */
static const float image_expected[10] = {
    9.969642424e-01f, 2.163084557e-05f,
    6.280679140e-04f, 3.247671665e-05f,
    2.500955278e-04f, 4.455767969e-04f,
    1.165279922e-03f, 3.023779441e-05f,
    4.339084504e-04f, 2.848362902e-05f
};

#endif
