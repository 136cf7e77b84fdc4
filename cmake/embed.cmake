# cmake -D INPUT=file -D NAME=c_name -D OUTPUT=file.c -P embed.cmake
#
# Writes the bytes of a file as a C array `NAME` with its size `NAME_size`.

file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
get_filename_component(file ${INPUT} NAME)
file(WRITE ${OUTPUT}
"/* The bytes of ${file}, written by the build. */
#include <stddef.h>

extern const unsigned char ${NAME}[];
extern const size_t ${NAME}_size;

const unsigned char ${NAME}[] = {
${hex}0};
const size_t ${NAME}_size = ${size};
")
