#pragma once

#include <cstddef>
#include <cstdint>

namespace derrd {

/// Where CPUID answers: its leaf and subleaf.
enum CpuidLeaf : uint8_t { kFeatures, kMoreFeatures, kNewestFeatures, kExtendedFeatures };
constexpr size_t kCpuidLeaves = 4;
enum CpuidRegister : uint8_t { kEax, kEbx, kEcx, kEdx };

/// What a processor says about itself, and which registers the system saves for a program.
struct ProcessorFacts {
  uint32_t cpuid[kCpuidLeaves][4];  // [leaf][register]
  uint64_t saved_registers;         // XCR0
};
constexpr uint64_t kAvxRegisters = 0x06, kAvx512Registers = 0xe6;

/// Instructions that not every processor has and that a compiler uses by itself.
struct InstructionSet {
  const char* name;
  CpuidLeaf leaf;
  CpuidRegister place;
  uint8_t bit;
  uint64_t registers;  ///< that the system has to save
  bool needed;         ///< whether the program was compiled with them
};

/// All sets. Data alone, of the file that is compiled with the program's flags.
extern const InstructionSet kInstructionSets[];
extern const size_t kNumInstructionSets;

/// Tells whether a program may use the instructions on a processor.
constexpr bool has(const ProcessorFacts& processor, const InstructionSet& set) {
  return (processor.cpuid[set.leaf][set.place] >> set.bit & 1) != 0 &&
         (processor.saved_registers & set.registers) == set.registers;
}

}  // namespace derrd
