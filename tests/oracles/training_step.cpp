#include "tests/oracles/training_step.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/finite_differences.h"
#include "tests/oracles/initialize.h"
#include "tests/oracles/soft_target.h"

namespace derrd::oracle {

namespace {

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += a[k] * b[k];
  return sum;
}

std::vector<int32_t> distinct(const std::vector<int32_t>& rows) {
  const std::set<int32_t> set(rows.begin(), rows.end());
  return {set.begin(), set.end()};
}

/// The matrices of one side of DE within the flat parameters.
struct Side {
  const double *gate, *gate_bias, *weight1, *bias1, *weight2, *bias2;
};

Side side_at(const TrainingStep& s, const double* p) {
  const int64_t e = s.de.experts, h = s.de.hidden, d = s.student_dim, t = s.teacher_dim;
  Side side{};
  side.gate = p;
  side.gate_bias = side.gate + e * t;
  side.weight1 = s.de.gate ? side.gate_bias + e : p;
  side.bias1 = side.weight1 + e * h * d;
  side.weight2 = side.bias1 + e * h;
  side.bias2 = side.weight2 + e * h * t;
  return side;
}

double gumbel(const TrainingStep::De& de, uint32_t purpose, int64_t row, int64_t expert) {
  const auto element = static_cast<uint64_t>(row * ((de.experts + 3) / 4) + expert / 4);
  const auto bits = philox({static_cast<uint32_t>(element), static_cast<uint32_t>(element >> 32),
                            de.epoch, purpose << 24},
                           {static_cast<uint32_t>(de.seed), static_cast<uint32_t>(de.seed >> 32)});
  const double u = ((bits[static_cast<size_t>(expert % 4)] >> 9) + 0.5) * 0x1p-23;
  return -std::log(-std::log(u));
}

/// An anchor's scores of its slots; 0 for an empty one.
std::vector<double> slot_scores(const double* anchor, const double* others, int64_t dim,
                                const std::vector<int32_t>& slots) {
  std::vector<double> scores;
  for (const int32_t row : slots) {
    scores.push_back(row >= 0 ? dot(anchor, others + row * dim, dim) : 0.0);
  }
  return scores;
}

std::vector<bool> present(const std::vector<int32_t>& slots) {
  std::vector<bool> result;
  for (const int32_t row : slots) result.push_back(row >= 0);
  return result;
}

/// Equations 9 and 10 for one anchor.
double ranking_loss(const std::vector<double>& scores, const std::vector<bool>& present,
                    int64_t interesting) {
  double loss = 0;
  for (size_t k = 0; k < static_cast<size_t>(interesting); ++k) {
    if (!present[k]) continue;
    double sum = 0;
    for (size_t i = k; i < scores.size(); ++i) {
      if (present[i]) sum += std::exp(scores[i]);
    }
    loss += std::log(sum) - scores[k];
  }
  return loss;
}

/// The relaxed ranking loss of the batch's anchors.
double ranking_losses(const TrainingStep::Ranking& ranking, const std::set<int32_t>& batch,
                      const double* anchors, const double* others, int64_t dim) {
  double loss = 0;
  for (const int32_t a : batch) {
    const auto& slots = ranking.samples[static_cast<size_t>(a)];
    loss += ranking_loss(slot_scores(anchors + a * dim, others, dim, slots), present(slots),
                         ranking.interesting);
  }
  return ranking.mean ? loss / static_cast<double>(batch.size()) : loss;
}

}  // namespace

int64_t side_size(const TrainingStep& s) {
  const auto& de = s.de;
  return (de.gate ? de.experts * s.teacher_dim + de.experts : 0) +
         de.experts * de.hidden * (s.student_dim + 1 + s.teacher_dim) + de.experts * s.teacher_dim;
}

double reconstruction_loss(const TrainingStep& s, const double* parameters, const double* h_s,
                           const double* h_t, uint32_t purpose, int64_t row) {
  const Side side = side_at(s, parameters);
  const auto& de = s.de;
  const auto experts = static_cast<size_t>(de.experts);
  std::vector<double> alpha(experts), selection(experts);
  double sum = 0;
  for (int64_t m = 0; m < de.experts; ++m) {
    const double logit =
        de.gate ? dot(side.gate + m * s.teacher_dim, h_t, s.teacher_dim) + side.gate_bias[m] : 0.0;
    sum += alpha[static_cast<size_t>(m)] = std::exp(logit);
  }
  for (double& a : alpha) a /= sum;
  for (int64_t m = 0; m < de.experts; ++m) {
    const double noise = de.noise ? gumbel(de, purpose, row, m) : 0.0;
    selection[static_cast<size_t>(m)] =
        (std::log(alpha[static_cast<size_t>(m)] + 1e-10) + noise) / de.temperature;
  }
  const double best = *std::max_element(selection.begin(), selection.end());
  sum = 0;
  for (double& v : selection) sum += v = std::exp(v - best);
  for (double& v : selection) v /= sum;

  std::vector<double> rebuilt(static_cast<size_t>(s.teacher_dim));
  for (int64_t m = 0; m < de.experts; ++m) {
    for (int64_t t = 0; t < s.teacher_dim; ++t) {
      double out = side.bias2[m * s.teacher_dim + t];
      for (int64_t j = m * de.hidden; j < (m + 1) * de.hidden; ++j) {
        const double in = dot(side.weight1 + j * s.student_dim, h_s, s.student_dim) + side.bias1[j];
        out += std::max(in, 0.0) * side.weight2[j * s.teacher_dim + t];
      }
      rebuilt[static_cast<size_t>(t)] += selection[static_cast<size_t>(m)] * out;
    }
  }
  double squared = 0;
  for (int64_t t = 0; t < s.teacher_dim; ++t) {
    const double difference = h_t[t] - rebuilt[static_cast<size_t>(t)];
    squared += difference * difference;
  }
  return de.euclidean ? std::sqrt(squared) : squared;
}

int64_t parameter_count(const TrainingStep& s) {
  return (s.users + s.items) * s.student_dim + (s.de.weight > 0 ? 2 * side_size(s) : 0);
}

StepLosses losses(const TrainingStep& s, const FlatParameters& parameters) {
  const double* user = parameters.data();
  const double* item = user + s.users * s.student_dim;
  StepLosses total;
  for (size_t i = 0; i < s.sample_users.size(); ++i) {
    const double* u = user + s.sample_users[i] * s.student_dim;
    const double x = dot(u, item + s.positives[i] * s.student_dim, s.student_dim) -
                     dot(u, item + s.negatives[i] * s.student_dim, s.student_dim);
    total.base += std::log1p(std::exp(-x));
  }
  if (s.de.weight > 0) {
    const double* experts = item + s.items * s.student_dim;
    const auto rebuild = [&](const std::vector<int32_t>& rows, int side, const double* student,
                             const std::vector<double>& teacher, size_t pass, double weight) {
      int64_t position = s.de.first_element[pass];
      for (const int32_t row : distinct(rows)) {
        total.de += weight * reconstruction_loss(s, experts + side * side_size(s),
                                                 student + row * s.student_dim,
                                                 teacher.data() + row * s.teacher_dim,
                                                 s.de.purpose[pass], position++);
      }
    };
    rebuild(s.sample_users, 0, user, s.de.teacher_user, 0, 1.0);
    rebuild(s.positives, 1, item, s.de.teacher_item, 1, 0.5);
    rebuild(s.negatives, 1, item, s.de.teacher_item, 2, 0.5);
  }
  const int64_t dim = s.student_dim;
  const std::set<int32_t> users(s.sample_users.begin(), s.sample_users.end());
  const std::set<int32_t> items(s.ir_items.begin(), s.ir_items.end());
  if (s.rrd.weight > 0) total.rrd = ranking_losses(s.rrd, users, user, item, dim);
  if (s.ir.weight > 0) total.ir = ranking_losses(s.ir, items, item, user, dim);
  for (const int32_t u : users) {
    const auto row = static_cast<size_t>(u);
    if (s.rd.weight > 0) {
      const auto& slots = s.rd.samples[row];
      const std::vector<double> scores = slot_scores(user + u * dim, item, dim, slots);
      // The weights are constants to the gradient; between two ranks they are.
      total.rd += ranking_distillation_loss(
                      ranking_distillation_weights(s.rd.options, scores, present(slots)), scores) /
                  static_cast<double>(users.size());
    }
    if (s.cd.weight > 0) {
      const auto& slots = s.cd.samples[row];
      total.cd += soft_target_loss(slot_scores(user + u * dim, item, dim, slots), s.cd.targets[row],
                                   present(slots));
    }
  }
  return total;
}

double total_loss(const TrainingStep& s, const FlatParameters& parameters) {
  const StepLosses l = losses(s, parameters);
  return l.base + s.de.weight * l.de + s.rrd.weight * l.rrd + s.ir.weight * l.ir +
         s.rd.weight * l.rd + s.cd.weight * l.cd;
}

FlatParameters gradient(const TrainingStep& s, const FlatParameters& parameters) {
  FlatParameters moved = parameters;
  return test::finite_differences(moved, [&] { return total_loss(s, moved); });
}

}  // namespace derrd::oracle
