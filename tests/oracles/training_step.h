#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tests/oracles/ranking_distillation.h"

namespace derrd::oracle {

/// One batch with everything that its loss depends on, on plain arrays.
struct TrainingStep {
  int64_t users, items, student_dim, teacher_dim;
  std::vector<int32_t> sample_users, positives, negatives;  ///< the batch's

  struct De {
    double weight = 0;  ///< lambda_DE; 0: off
    int64_t experts = 0, hidden = 0;
    double temperature = 1;
    bool euclidean = false;
    bool noise = true;  ///< Gumbel noise in the selection; else attention: s = alpha
    bool gate = true;   ///< else all experts count alike, and there are no gate parameters
    uint64_t seed = 0;
    uint32_t epoch = 0;
    std::array<uint32_t, 3> purpose{};       ///< the noise's, for users, positives, negatives
    std::array<int64_t, 3> first_element{};  ///< distinct rows of the epoch's earlier batches
    std::vector<double> teacher_user, teacher_item;  ///< [U, T], [I, T]
  } de;

  struct Ranking {
    double weight = 0;  ///< lambda; 0: off
    bool mean = false;  ///< mean over the batch's anchors; else their sum
    int64_t interesting = 0;
    std::vector<std::vector<int32_t>> samples;  ///< [anchors][K + L], -1: empty
  };
  Ranking rrd;                    ///< anchors are the batch's users, slots are items
  Ranking ir;                     ///< anchors are some of the items, slots are users
  std::vector<int32_t> ir_items;  ///< the batch's anchors of ir

  struct Rd {
    double weight = 0;  ///< lambda of a mean over the batch's users; 0: off
    RankingDistillation options;
    std::vector<std::vector<int32_t>> samples;  ///< [U][K + N], -1: empty
  } rd;

  struct Cd {
    double weight = 0;                          ///< 0: off
    std::vector<std::vector<int32_t>> samples;  ///< [U][n], -1: empty
    std::vector<std::vector<double>> targets;   ///< [U][n]
  } cd;
};

/// The parameters, one matrix after the other: user and item embeddings; then, if DE is on, for
/// users and for items gate weight [E, T], gate bias [E] (with a gate), weight1 [E H, D], bias1 [E
/// H], weight2 [E H, T], bias2 [E, T].
using FlatParameters = std::vector<double>;
int64_t parameter_count(const TrainingStep& step);

struct StepLosses {
  double base = 0, de = 0, rrd = 0, ir = 0, rd = 0, cd = 0;  ///< unweighted
};
/// Equation 11 written out in double: loops over samples, experts and slots, nothing shared with
/// the kernels.
StepLosses losses(const TrainingStep& step, const FlatParameters& parameters);
double total_loss(const TrainingStep& step, const FlatParameters& parameters);

/// Equation 7 for one entity with the vectors h_s [D] and h_t [T].
/// @param side gate and experts in FlatParameters' order
/// @param purpose, row the random numbers that its noise is drawn from
double reconstruction_loss(const TrainingStep& step, const double* side, const double* h_s,
                           const double* h_t, uint32_t purpose, int64_t row);
int64_t side_size(const TrainingStep& step);

/// The total loss's gradient by central differences.
FlatParameters gradient(const TrainingStep& step, const FlatParameters& parameters);

}  // namespace derrd::oracle
