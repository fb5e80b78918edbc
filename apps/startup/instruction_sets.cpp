#include "apps/startup/instruction_sets.h"

#include <iterator>

// "1" if the compiler defines the macro, else the macro's name.
#define DERRD_TEXT(x) #x
#define DERRD_DEFINED(macro) (DERRD_TEXT(macro)[0] != '_')

namespace derrd {

constexpr InstructionSet kInstructionSets[] = {
#if defined(__x86_64__)
    {"SSE3", kFeatures, kEcx, 0, 0, DERRD_DEFINED(__SSE3__)},
    {"SSSE3", kFeatures, kEcx, 9, 0, DERRD_DEFINED(__SSSE3__)},
    {"SSE4.1", kFeatures, kEcx, 19, 0, DERRD_DEFINED(__SSE4_1__)},
    {"SSE4.2", kFeatures, kEcx, 20, 0, DERRD_DEFINED(__SSE4_2__)},
    {"MOVBE", kFeatures, kEcx, 22, 0, DERRD_DEFINED(__MOVBE__)},
    {"POPCNT", kFeatures, kEcx, 23, 0, DERRD_DEFINED(__POPCNT__)},
    {"LZCNT", kExtendedFeatures, kEcx, 5, 0, DERRD_DEFINED(__LZCNT__)},
    {"BMI", kMoreFeatures, kEbx, 3, 0, DERRD_DEFINED(__BMI__)},
    {"BMI2", kMoreFeatures, kEbx, 8, 0, DERRD_DEFINED(__BMI2__)},
    {"TBM", kExtendedFeatures, kEcx, 21, 0, DERRD_DEFINED(__TBM__)},
    {"GFNI", kMoreFeatures, kEcx, 8, 0, DERRD_DEFINED(__GFNI__)},
    {"AVX", kFeatures, kEcx, 28, kAvxRegisters, DERRD_DEFINED(__AVX__)},
    {"F16C", kFeatures, kEcx, 29, kAvxRegisters, DERRD_DEFINED(__F16C__)},
    {"FMA", kFeatures, kEcx, 12, kAvxRegisters, DERRD_DEFINED(__FMA__)},
    {"FMA4", kExtendedFeatures, kEcx, 16, kAvxRegisters, DERRD_DEFINED(__FMA4__)},
    {"XOP", kExtendedFeatures, kEcx, 11, kAvxRegisters, DERRD_DEFINED(__XOP__)},
    {"AVX2", kMoreFeatures, kEbx, 5, kAvxRegisters, DERRD_DEFINED(__AVX2__)},
    {"AVX-VNNI", kNewestFeatures, kEax, 4, kAvxRegisters, DERRD_DEFINED(__AVXVNNI__)},
    {"AVX512F", kMoreFeatures, kEbx, 16, kAvx512Registers, DERRD_DEFINED(__AVX512F__)},
    {"AVX512DQ", kMoreFeatures, kEbx, 17, kAvx512Registers, DERRD_DEFINED(__AVX512DQ__)},
    {"AVX512IFMA", kMoreFeatures, kEbx, 21, kAvx512Registers, DERRD_DEFINED(__AVX512IFMA__)},
    {"AVX512CD", kMoreFeatures, kEbx, 28, kAvx512Registers, DERRD_DEFINED(__AVX512CD__)},
    {"AVX512BW", kMoreFeatures, kEbx, 30, kAvx512Registers, DERRD_DEFINED(__AVX512BW__)},
    {"AVX512VL", kMoreFeatures, kEbx, 31, kAvx512Registers, DERRD_DEFINED(__AVX512VL__)},
    {"AVX512VBMI", kMoreFeatures, kEcx, 1, kAvx512Registers, DERRD_DEFINED(__AVX512VBMI__)},
    {"AVX512VBMI2", kMoreFeatures, kEcx, 6, kAvx512Registers, DERRD_DEFINED(__AVX512VBMI2__)},
    {"AVX512VNNI", kMoreFeatures, kEcx, 11, kAvx512Registers, DERRD_DEFINED(__AVX512VNNI__)},
    {"AVX512BITALG", kMoreFeatures, kEcx, 12, kAvx512Registers, DERRD_DEFINED(__AVX512BITALG__)},
    {"AVX512VPOPCNTDQ", kMoreFeatures, kEcx, 14, kAvx512Registers,
     DERRD_DEFINED(__AVX512VPOPCNTDQ__)},
    {"AVX512FP16", kMoreFeatures, kEdx, 23, kAvx512Registers, DERRD_DEFINED(__AVX512FP16__)},
    {"AVX512BF16", kNewestFeatures, kEax, 5, kAvx512Registers, DERRD_DEFINED(__AVX512BF16__)},
#else
    {"", kFeatures, kEax, 0, 0, false},
#endif
};
constexpr size_t kNumInstructionSets = std::size(kInstructionSets);

}  // namespace derrd
