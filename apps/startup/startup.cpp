// What happens before any other code of the program, and before the constructors of its libraries.
// Compiled for the oldest processor, and without sanitizers. Only system calls: the C library is
// not set up yet.

#include <elf.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "apps/startup/instruction_sets.h"

namespace derrd {

namespace {

/// Opens standard input, output and error where they are closed, so that no file of the program
/// becomes one of them. Writing to a closed output goes on failing.
void open_standard_streams() {
  constexpr int kModes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int stream = 0; stream < 3; ++stream) {
    if (::syscall(SYS_fcntl, stream, F_GETFD) >= 0) continue;
    if (::syscall(SYS_openat, AT_FDCWD, "/dev/null", kModes[stream]) < 0) {
      ::syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);  // can be neither read nor written
    }
  }
}

#if defined(__x86_64__)

ProcessorFacts processor_facts() {
  ProcessorFacts facts = {};
  const auto ask = [&](CpuidLeaf leaf, unsigned number, unsigned subleaf) {
    uint32_t* r = facts.cpuid[leaf];
    __get_cpuid_count(number, subleaf, &r[kEax], &r[kEbx], &r[kEcx], &r[kEdx]);
  };
  ask(kFeatures, 1, 0);
  ask(kMoreFeatures, 7, 0);
  if (facts.cpuid[kMoreFeatures][kEax] >= 1) ask(kNewestFeatures, 7, 1);
  ask(kExtendedFeatures, 0x80000001, 0);
  constexpr uint32_t kSavesRegisters = 1u << 27;  // OSXSAVE, with which XGETBV exists
  if ((facts.cpuid[kFeatures][kEcx] & kSavesRegisters) != 0) {
    uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    facts.saved_registers = uint64_t{high} << 32 | low;
  }
  return facts;
}

/// Ends the program, with a message in place of SIGILL, if the processor lacks instructions that
/// the program was compiled with.
void check_processor() {
  const ProcessorFacts processor = processor_facts();
  char message[1024];  // longer than with all names
  size_t length = 0;
  const auto append = [&](const char* text) {
    while (*text != '\0' && length < sizeof(message)) message[length++] = *text++;
  };
  const char* separator = "derrd: this program was compiled for a processor with ";
  for (size_t s = 0; s < kNumInstructionSets; ++s) {
    const InstructionSet& set = kInstructionSets[s];
    if (!set.needed || has(processor, set)) continue;
    append(separator);
    append(set.name);
    separator = ", ";
  }
  if (length == 0) return;
  append(", which this one lacks; build it on this machine, or with -DDERRD_NATIVE=OFF\n");
  ::syscall(SYS_write, STDERR_FILENO, message, length);
  ::syscall(SYS_exit_group, 1);
}

#endif

#if defined(DERRD_OPENBLAS_STARTS_THREADS)

bool starts_with(const char* text, const char* beginning) {
  while (*beginning != '\0' && *text == *beginning) ++text, ++beginning;
  return *beginning == '\0';
}

/// Tells whether the dynamic loader was started as the program, which /proc/self/exe then is.
bool is_run_by_loader(char** environment) {
  while (*environment != nullptr) ++environment;
  struct Entry {
    unsigned long key, value;
  };
  const auto* entry = reinterpret_cast<const Entry*>(environment + 1);  // the auxiliary vector
  for (; entry->key != AT_NULL; ++entry) {
    if (entry->key == AT_BASE) return entry->value == 0;
  }
  return true;
}

/// Keeps OpenBLAS from starting a thread per core, each with 128 MB of address space, when it is
/// loaded: where there is little, it hangs or dies. It reads the environment alone, and before any
/// constructor of ours: so the program is executed again, with a variable more. The engine
/// takes products of one thread in any case.
void forbid_openblas_threads(char** arguments, char** environment) {
  static char kOneThread[] = "OPENBLAS_NUM_THREADS=1";
  size_t variables = 0;
  for (; environment[variables] != nullptr; ++variables) {
    if (!starts_with(environment[variables], "OPENBLAS_NUM_THREADS=")) continue;
    environment[variables] = kOneThread;
    return;
  }
  if (is_run_by_loader(environment)) return;
  auto** longer = static_cast<char**>(__builtin_alloca((variables + 2) * sizeof(char*)));
  for (size_t v = 0; v < variables; ++v) longer[v] = environment[v];
  longer[variables] = kOneThread;
  longer[variables + 1] = nullptr;
  // By its own name, which ps shows; by that of the link if the file was replaced meanwhile.
  char path[4096];
  const long size = ::syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof(path) - 1);
  if (size > 0) {
    path[size] = '\0';
    ::syscall(SYS_execve, path, arguments, longer);
  }
  ::syscall(SYS_execve, "/proc/self/exe", arguments, longer);
}

#endif

void start([[maybe_unused]] int count, [[maybe_unused]] char** arguments,
           [[maybe_unused]] char** environment) {
  open_standard_streams();
#if defined(__x86_64__)
  check_processor();
#endif
#if defined(DERRD_OPENBLAS_STARTS_THREADS)
  forbid_openblas_threads(arguments, environment);
#endif
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const at_start)(int, char**, char**) = start;

}  // namespace

}  // namespace derrd
