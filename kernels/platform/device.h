#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace derrd {

/// The device refused: no device, no memory, a failed launch. The message names the call and the
/// cure.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An ordered queue of device work. Owns it; moves, does not copy. On the CPU executors work is
/// done when the call returns.
class Stream {
 public:
  /// @throws DeviceError if no device can be used, or it has too little memory.
  Stream();
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;

  /// Waits until everything queued so far is done. Counted (see Counters).
  /// @throws DeviceError if any of it failed.
  void synchronize() const;
  /// The executor's handle (cudaStream_t), null on the CPU.
  void* native() const { return native_; }
  /// The BLAS handle bound to this stream (cublasHandle_t), null on the CPU.
  void* blas() const { return blas_; }

 private:
  struct Nothing {};
  /// Owns nothing. The public constructor starts from it, so that the destructor frees what there
  /// is if a later step throws.
  explicit Stream(Nothing) noexcept {}

  void* native_ = nullptr;
  void* blas_ = nullptr;
  void* blas_workspace_ = nullptr;
};

/// A moment in a stream's work. Owns it; does not move.
class TimeMark {
 public:
  TimeMark();
  ~TimeMark();
  TimeMark(const TimeMark&) = delete;
  TimeMark& operator=(const TimeMark&) = delete;

  /// Marks when what is queued so far will be done. Does not wait.
  void set(const Stream& stream);
  /// Seconds from an earlier mark of the same stream to this one; waits for both.
  double seconds_since(const TimeMark& earlier) const;

 private:
  void* native_ = nullptr;  // cudaEvent_t
  double seconds_ = 0;      // on the CPU
};

/// Counts of what this process did so far; a training step adds nothing to the first two.
struct Counters {
  int64_t allocations = 0;
  int64_t synchronizations = 0;
  int64_t launches = 0;      ///< those in a LaunchGraph count on cuda once, when they are recorded
  int64_t device_bytes = 0;  ///< of device memory that is allocated now
  int64_t peak_device_bytes = 0;  ///< the most since restart_peak_device_bytes()
};
Counters counters();
/// Forgets how much device memory was allocated before.
void restart_peak_device_bytes();

/// Memory that this process can still get, in bytes; none: the system does not say.
struct AvailableMemory {
  std::optional<int64_t> host;
  std::optional<int64_t> device;
  bool shared = false;  ///< device memory is the host's: both figures are the same
};
AvailableMemory available_memory();

/// Device memory that a Stream holds, in bytes.
int64_t stream_bytes();

/// Description of the machine that the kernels run on, for reports.
struct DeviceInfo {
  std::string executor;   ///< "cuda", "cpu" or "check"
  std::string name;       ///< of the GPU or of the processor
  std::string libraries;  ///< BLAS, sorting and random-number libraries with their versions
  /// What decides the bits of results besides sources and inputs, as far as a program can tell:
  /// compiler, processor and OpenBLAS, or GPU, driver and CUDA.
  std::string arithmetic;
  int64_t memory_bytes = 0;  ///< of the GPU or of the machine; 0: unknown
  int64_t cache_bytes = 0;   ///< of the last cache before memory; 0: unknown
  int threads = 1;           ///< host threads that kernels are spread over (1 on cuda)
};
/// @throws DeviceError if there is no device; its message is one line.
DeviceInfo device_info();

/// Tells whether this executor looks for reads of rows that a step has not declared: the checking
/// one does (kernels/update/unread_rows.h).
bool checks_reads();

/// Host threads that the CPU executor spreads blocks over; results do not depend on it. 0: all
/// cores. No effect on cuda.
void set_threads(int threads);

/// Device memory of `bytes` bytes, aligned to 256. Null for 0. Counted.
/// @throws DeviceError that says what was asked for and what there is, if there is not enough.
void* device_allocate(int64_t bytes);
/// Frees memory after the work that is queued on any stream, for which it waits unless the pointer
/// is null: a buffer may go while kernels still read it. Not inside a training step.
/// @param bytes as they were asked for
void device_free(void* pointer, int64_t bytes) noexcept;

/// Copies between host and device, ordered in `stream`; both return when the host side may be
/// reused (both wait: counted).
void copy_to_device(void* device, const void* host, int64_t bytes, const Stream& stream);
void copy_to_host(void* host, const void* device, int64_t bytes, const Stream& stream);
/// Device to device, and zeroing; asynchronous in `stream`.
void copy_on_device(void* to, const void* from, int64_t bytes, const Stream& stream);
void fill_zero(void* device, int64_t bytes, const Stream& stream);

}  // namespace derrd
