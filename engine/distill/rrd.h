#pragma once

#include <cstdint>

#include "engine/device_dataset.h"
#include "engine/distill/distiller.h"
#include "engine/distill/loss.h"
#include "engine/models/model.h"
#include "kernels/platform/memory.h"

namespace derrd {

struct RrdOptions {
  double weight = 1e-3;        ///< lambda_RRD
  int64_t interesting = 40;    ///< K
  int64_t uninteresting = 40;  ///< L
  int64_t list_length = 500;   ///< R, items in the teacher's ranking of each user
  double sharpness = 10.0;     ///< T: an item of rank k is drawn with weight exp(-k / T)
  /// How the K interesting items come out of the teacher's list: drawn anew each epoch, or simply
  /// its head.
  enum class Selection { kSampled, kTop } selection = Selection::kSampled;
  /// Whose order the student learns: the interesting items' (equation 9), or that of all K + L
  /// (ablation (d) of Table 4).
  enum class Order { kInteresting, kAll } order = Order::kInteresting;
  Preset preset = Preset::kAuthors;
};

/// Relaxed Ranking Distillation (Section 4.2, equations 9 and 10): per user the order of K
/// interesting items and their place above L uninteresting ones. Samples are drawn once an epoch.
class RrdDistiller final : public Distiller {
 public:
  /// @param lists the teacher's ranking [U, R]: unobserved items, best first, -1 padded; outlives
  ///   the distiller, as does
  /// @param teacher which is asked for Order::kAll only; else null
  /// @param capacity no batch has more distinct users
  RrdDistiller(RrdOptions options, const DeviceDataset& data, Matrix<const int32_t> lists,
               const Scorer* teacher, Model& student, int64_t capacity, const Stream& stream);

  std::string_view name() const override { return "rrd"; }
  void begin_epoch(const Batches& batches, const Stream& stream) override;
  void add_gradients(const Batches& batches, Model& student, double* loss,
                     const Stream& stream) override;

  /// The samples of the epoch [U, K + L].
  Matrix<const int32_t> samples() const {
    return {samples_.data(), data_.users(), options_.interesting + options_.uninteresting};
  }

 private:
  void draw_interesting(const Batches& batches, const Stream& stream);
  void find_excluded(const Stream& stream);
  void order_all(const Stream& stream);
  void index_by_item(const Stream& stream);
  Matrix<int32_t> writable_samples() const {
    return {samples_.data(), data_.users(), options_.interesting + options_.uninteresting};
  }
  /// The first n pairs of the sort buffers.
  SortBuffers unsorted(int64_t n) const;
  SortBuffers sorted(int64_t n) const;

  RrdOptions options_;
  const DeviceDataset& data_;
  Matrix<const int32_t> lists_;
  const Scorer* teacher_;
  int64_t excluded_ = 0;  // items in all rows of excluded_items_ at most

  DeviceArray<int32_t> samples_;           // [U, K + L]
  DeviceArray<int32_t> lowest_;            // [U] place of the lowest interesting item
  DeviceArray<int64_t> list_offsets_;      // [U + 1] segments of the lists
  DeviceArray<int64_t> slot_offsets_;      // [U + 1] segments of the samples; Order::kAll only
  DeviceArray<float> teacher_score_;       // [U, K + L] likewise
  DeviceArray<int64_t> excluded_offsets_;  // [U + 1]
  DeviceArray<uint32_t> excluded_items_;   // what the uninteresting items are not drawn from
  DeviceArray<int32_t> item_offsets_;      // [I + 1] occurrences of each item among the samples
  DeviceArray<uint32_t> occurrences_;      // [U (K + L)]
  DeviceArray<int32_t> user_position_;     // [U] among the distinct users of the batch
  DeviceArray<float> loss_terms_;          // [capacity]
  DeviceArray<float> score_, grad_score_;  // [capacity, K + L]

  DeviceArray<uint64_t> unsorted_keys_, sorted_keys_;
  DeviceArray<uint32_t> unsorted_values_, sorted_values_;
  DeviceArray<uint8_t> scratch_;
};

/// "rrd".
class RrdLoss final : public DistillationLoss {
 public:
  RrdOptions& values() { return values_; }

  std::string_view name() const override { return "rrd"; }
  std::string_view title() const override { return "Relaxed Ranking Distillation (rrd)"; }
  std::vector<LossOption> options() override;
  std::string complaint() const override;
  double recommended_share(std::string_view model) const override;
  std::unique_ptr<Distiller> make(const DistillContext& context) const override;

 private:
  RrdOptions values_;
  std::string interesting_ = "sampled", ranking_ = "relaxed";
};

}  // namespace derrd
