// The LUT products for every stored weight and every activation, against a table of the schemes' definitions.
#include <iostream>

#include "intramix/lut_multiply.h"
#include "lut_weights.h"   // generated: the integer weight of every stored code, by scheme

using namespace intramix;

int main() {
    long cases = 0, wrong = 0;
    for (int code = 0; code < 16; code++)
        for (int x = 0; x < 1 << SLOT_BITS; x++, cases++) {
            wrong += int(lut_multiply_fixed4(code, x)) != FIXED4_WEIGHTS[code] * x;
            wrong += int(lut_multiply_sp2(code, x)) != SP2_WEIGHTS[code] * x;
            wrong += int(lut_multiply_pot(code, x)) != POT_WEIGHTS[code] * x;
            const int *own = LUT_SCHEME == SCHEME_FIXED4 ? FIXED4_WEIGHTS
                             : LUT_SCHEME == SCHEME_SP2  ? SP2_WEIGHTS
                                                         : POT_WEIGHTS;
            wrong += int(lut_multiply(code, x)) != own[code] * x;
        }
    std::cout << cases << " operands of the LUT multiplies, " << wrong << " products wrong" << std::endl;
    return wrong ? 1 : 0;
}
