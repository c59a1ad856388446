// Both packed multiplies for every operand, and every operand of the fabric's 8-bit product, against plain integers.
#include <iostream>

#include "intramix/lut_multiply.h"
#include "intramix/packed_multiply.h"

using namespace intramix;

static const int CODES = 1 << SLOT_BITS;

int main() {
    long cases = 0, wrong = 0;
    for (int w0 = -8; w0 < 8; w0++)
        for (int w1 = -8; w1 < 8; w1++)
            for (int x0 = 0; x0 < CODES; x0++)
                for (int x1 = 0; x1 < CODES; x1++, cases++) {
                    product4_t products[4];
                    packed_multiply_four(w0, w1, x0, x1, products);
                    int expected[4] = {w0 * x0, w0 * x1, w1 * x0, w1 * x1};
                    for (int field = 0; field < 4; field++) wrong += int(products[field]) != expected[field];
                }
    for (int w = -128; w < 128; w++)
        for (int x0 = 0; x0 < CODES; x0++)
            for (int x1 = 0; x1 < CODES; x1++, cases++) {
                product8_t products[2];
                packed_multiply_two(w, x0, x1, products);
                wrong += int(products[0]) != w * x0;
                wrong += int(products[1]) != w * x1;
                wrong += int(lut_multiply_eight(w, x0)) != w * x0;
            }
    std::cout << cases << " operands of the packed multiplies, " << wrong << " products wrong" << std::endl;
    return wrong ? 1 : 0;
}
