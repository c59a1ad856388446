// The LUT products for every stored weight and every activation, against a table of the schemes' definitions.
#include <iostream>

#include "intramix/lut_multiply.h"
#include "lut_weights.h"   // generated: the integer weight of every stored code, by product

using namespace intramix;

typedef lut_product_t (*product_t)(ap_uint<4> weight, slot_t x);

static long wrong_products(product_t product, const int *weights, int count) {
    long wrong = 0;
    for (int code = 0; code < count; code++)
        for (int x = 0; x < 1 << SLOT_BITS; x++) wrong += int(product(code, x)) != weights[code] * x;
    return wrong;
}

int main() {
    long wrong = 0, cases = 0;
#define CHECK(function)                                                                            \
    {                                                                                              \
        int count = sizeof function##_weights / sizeof(int);                                       \
        wrong += wrong_products(function, function##_weights, count);                              \
        if (INTRAMIX_LUT_MULTIPLY == function) wrong += wrong_products(lut_multiply, function##_weights, count); \
        cases += count << SLOT_BITS;                                                               \
    }
    INTRAMIX_LUT_PRODUCTS(CHECK)
    std::cout << cases << " operands of the LUT multiplies, " << wrong << " products wrong" << std::endl;
    return wrong ? 1 : 0;
}
