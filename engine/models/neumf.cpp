#include "engine/models/neumf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/models/columns.h"
#include "kernels/models/embedding.h"
#include "kernels/models/linear.h"
#include "kernels/models/neumf_first_layer.h"
#include "kernels/models/neumf_row_gradients.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/slices.h"

namespace derrd {

namespace {

using Initial = Parameters::Initial;

constexpr Initial kEmbeddingInitial = {Initial::Kind::kNormal, 0.01f};
constexpr Initial kZero = {Initial::Kind::kUniform, 0.0f};

/// Xavier: of a whole layer, where it is kept in parts.
Initial hidden_weight(int64_t inputs, int64_t outputs) {
  return {Initial::Kind::kUniform, std::sqrt(6.0f / static_cast<float>(inputs + outputs))};
}
Initial output_weight(int64_t inputs) {
  return {Initial::Kind::kUniform, std::sqrt(6.0f / static_cast<float>(inputs))};
}

PairBatch pair_batch(const EpochPlan& plan) {
  return {plan.cursor(), plan.distinct_users(), plan.distinct_positives(),
          plan.distinct_negatives()};
}

}  // namespace

NeumfModel::NeumfModel(NeumfShape shape, int64_t batch_size, Parameters& parameters)
    : parameters_(parameters),
      shape_(shape),
      widths_(hidden_widths(shape.dim, shape.layers)),
      batch_size_(batch_size),
      slots_(std::max(shape.users, shape.items), shape.dim, widths_) {
  const int64_t dim = shape.dim;
  const int64_t hidden = widths_.front();
  const Initial first = hidden_weight(2 * dim, hidden);
  user_ = {parameters.declare_table("user_gmf", Entity::kUser, shape.users, dim, kEmbeddingInitial),
           parameters.declare_table("user_mlp", Entity::kUser, shape.users, dim, kEmbeddingInitial),
           parameters.declare("hidden.1.user_weight", hidden, dim, first)};
  item_ = {parameters.declare_table("item_gmf", Entity::kItem, shape.items, dim, kEmbeddingInitial),
           parameters.declare_table("item_mlp", Entity::kItem, shape.items, dim, kEmbeddingInitial),
           parameters.declare("hidden.1.item_weight", hidden, dim, first)};
  first_bias_ = parameters.declare("hidden.1.bias", 1, hidden, kZero);
  for (size_t l = 1; l < widths_.size(); ++l) {
    const int64_t inputs = widths_[l - 1];
    const int64_t outputs = widths_[l];
    const std::string name = fmt::format("hidden.{}", l + 1);
    layers_.push_back(
        {parameters.declare(name + ".weight", outputs, inputs, hidden_weight(inputs, outputs)),
         parameters.declare(name + ".bias", 1, outputs, kZero)});
  }
  const int64_t joint = dim + widths_.back();
  output_weight_ = parameters.declare("output.weight", 1, joint, output_weight(joint));
  output_bias_ = parameters.declare("output.bias", 1, 1, kZero);

  const int64_t pairs = 2 * batch_size;
  pair_numbers_ = DeviceArray<int32_t>(4 * pairs);
  pair_cursor_ = DeviceArray<BatchCursor>(1);
  user_vectors_ = DeviceArray<float>(batch_size * dim);
  grad_user_vectors_ = DeviceArray<float>(batch_size * dim);
  user_part_ = DeviceArray<float>(batch_size * hidden);
  grad_user_part_ = DeviceArray<float>(batch_size * hidden);
  item_vectors_ = DeviceArray<float>(pairs * dim);
  grad_item_vectors_ = DeviceArray<float>(pairs * dim);
  item_part_ = DeviceArray<float>(pairs * hidden);
  grad_item_part_ = DeviceArray<float>(pairs * hidden);
  hidden_ = HiddenRows(pairs, widths_, HiddenRows::Purpose::kTrain);
  joint_ = DeviceArray<float>(pairs * joint);
  grad_joint_ = DeviceArray<float>(pairs * joint);
  grad_score_ = DeviceArray<float>(pairs);
  loss_terms_ = DeviceArray<float>(pairs);
}

ModelMemory NeumfModel::memory(const ModelSizes& sizes, const ModelUse& use) {
  const std::vector<int64_t> widths = hidden_widths(sizes.dim, sizes.layers);
  const int64_t dim = sizes.dim;
  const int64_t hidden = widths.front();
  ModelMemory memory;
  for (const int64_t rows : {sizes.users, sizes.items}) {
    memory.matrices.insert(memory.matrices.end(), {rows * dim, rows * dim, hidden * dim});
  }
  memory.matrices.push_back(hidden);
  for (size_t l = 1; l < widths.size(); ++l) {
    memory.matrices.insert(memory.matrices.end(), {widths[l] * widths[l - 1], widths[l]});
  }
  memory.matrices.insert(memory.matrices.end(), {dim + widths.back(), 1});
  memory.table_rows = 2 * (sizes.users + sizes.items);
  memory.table_elements = memory.table_rows * dim;

  constexpr int64_t kFloat = sizeof(float);
  const int64_t pairs = 2 * use.batch_size;
  const int64_t of_rows = 2 * (use.batch_size + pairs) * (dim + hidden);
  const int64_t of_pairs = pairs * (2 * (dim + widths.back()) + 4 + 2);
  memory.batch = (of_rows + of_pairs) * kFloat +
                 HiddenRows::device_bytes(pairs, widths, HiddenRows::Purpose::kTrain) +
                 static_cast<int64_t>(sizeof(BatchCursor));
  memory.slots = NeumfSlots::device_bytes(std::max(sizes.users, sizes.items), widths, use.room);
  NeumfScorer::add_memory(memory, sizes, use.candidates);
  return memory;
}

TrainedNeumf NeumfModel::trained() const {
  TrainedNeumf model = {trained(user_),          trained(item_),       trained(first_bias_), {},
                        trained(output_weight_), trained(output_bias_)};
  for (const Layer& layer : layers_) {
    model.layers.push_back({parameters_.value(layer.weight), parameters_.value(layer.bias).flat(),
                            parameters_.gradient(layer.weight),
                            parameters_.gradient(layer.bias).flat()});
  }
  return model;
}

PairBuffers NeumfModel::pairs() const {
  const int64_t n = 2 * batch_size_;
  const auto part = [&](int64_t i) { return pair_numbers_.view().slice(i * n, n); };
  return {part(0), part(1), part(2), part(3), pair_cursor_.data()};
}

NeumfJointCall NeumfModel::joint_call(const TrainedNeumf& model) const {
  return {.user_table = model.user.gmf.value,
          .item_table = model.item.gmf.value,
          .hidden = hidden_.last(2 * batch_size_),
          .pairs = pairs().rows(),
          .weight = model.output_weight.value.flat(),
          .bias = model.output_bias.value.flat()};
}

void NeumfModel::forward(const EpochPlan& plan, LossSum loss, const Stream& stream) {
  const TrainedNeumf model = trained();
  const PairBatch batch = pair_batch(plan);
  const PairBuffers buffers = pairs();
  const int64_t n = 2 * batch_size_;
  const int64_t dim = shape_.dim;
  const int64_t users = batch.distinct_users.capacity;
  const int64_t items = batch.distinct_positives.capacity + batch.distinct_negatives.capacity;
  const Matrix<float> user_vectors = user_vectors_.matrix(users, dim);
  const Matrix<float> item_vectors = item_vectors_.matrix(items, dim);
  locate_pairs(buffers,
               {.users = user_vectors,
                .items = item_vectors,
                .user_table = model.user.mlp.value,
                .item_table = model.item.mlp.value},
               batch, stream);
  const Matrix<float> user_part = user_part_.matrix(users, widths_.front());
  const Matrix<float> item_part = item_part_.matrix(items, widths_.front());
  gemm(user_part, user_vectors, transpose(model.user.weight.value),
       {.active = batch.distinct_users.active()}, stream);
  gemm(item_part, item_vectors, transpose(model.item.weight.value), {}, stream);
  neumf_first_layer_forward(hidden_.first(n),
                            {.user_part = user_part,
                             .item_part = item_part,
                             .bias = model.first_bias.value.flat(),
                             .pairs = buffers.positions()},
                            stream);
  hidden_.forward(model.layers, n, active(), stream);
  const Matrix<float> joint = joint_.matrix(n, dim + widths_.back());
  neumf_joint_loss({.loss = loss_terms_.view(),
                    .grad_score = grad_score_.view(),
                    .joint = joint,
                    .grad_joint = grad_joint_.matrix(n, joint.cols)},
                   joint_call(model), stream);
  loss.add(loss_terms_.view());
}

void NeumfModel::backward(const EpochPlan& plan, const Stream& stream) {
  const TrainedNeumf model = trained();
  const PairBatch batch = pair_batch(plan);
  const int64_t n = 2 * batch_size_;
  const int64_t dim = shape_.dim;
  const Matrix<float> grad_joint = grad_joint_.matrix(n, dim + widths_.back());
  if (!layers_.empty()) {
    copy_columns(hidden_.grad_last(n), grad_joint, dim, stream);
    hidden_.backward(model.layers, n, active(), stream);
  }

  const int64_t hidden = widths_.front();
  const int64_t users = batch.distinct_users.capacity;
  const int64_t positives = batch.distinct_positives.capacity;
  const int64_t negatives = batch.distinct_negatives.capacity;
  const Matrix<float> grad_user_part = grad_user_part_.matrix(users, hidden);
  const Matrix<float> grad_item_part = grad_item_part_.matrix(positives + negatives, hidden);
  neumf_row_gradients({.user = model.user.gmf.grad,
                       .item = model.item.gmf.grad,
                       .user_part = grad_user_part,
                       .item_part = grad_item_part},
                      {.user_table = model.user.gmf.value,
                       .item_table = model.item.gmf.value,
                       .grad_joint = grad_joint,
                       .grad_hidden = layers_.empty() ? grad_joint : hidden_.grad_first(n),
                       .first_column = layers_.empty() ? dim : 0,
                       .hidden = hidden_.first(n),
                       .pairs = pairs().rows(),
                       .batch = batch},
                      stream);

  const ActiveRows active_users = batch.distinct_users.active();
  CallList<BiasGradient> biases =
      BiasGradient{model.first_bias.grad.flat(), grad_user_part, active_users};
  const Matrix<float> grad_score = grad_score_.matrix(n, 1);
  biases.add({model.output_bias.grad.flat(), grad_score, active()});
  accumulate_bias(biases, stream);
  gemm(model.output_weight.grad, transpose(grad_score), joint_.matrix(n, grad_joint.cols),
       {.beta = 1.0f, .active = active()}, stream);
  const Matrix<float> user_vectors = user_vectors_.matrix(users, dim);
  const Matrix<float> item_vectors = item_vectors_.matrix(positives + negatives, dim);
  const Matrix<float> grad_user = grad_user_vectors_.matrix(users, dim);
  const Matrix<float> grad_item = grad_item_vectors_.matrix(positives + negatives, dim);
  gemm(model.user.weight.grad, transpose(grad_user_part), user_vectors,
       {.beta = 1.0f, .active = active_users}, stream);
  gemm(grad_user, grad_user_part, model.user.weight.value, {.active = active_users}, stream);
  gemm(model.item.weight.grad, transpose(grad_item_part), item_vectors, {.beta = 1.0f}, stream);
  gemm(grad_item, grad_item_part, model.item.weight.value, {}, stream);
  CallList<RowAddition> additions =
      RowAddition{model.user.mlp.grad, grad_user, 0, batch.distinct_users};
  additions.add({model.item.mlp.grad, grad_item.slice(0, positives), 0, batch.distinct_positives});
  additions.add(
      {model.item.mlp.grad, grad_item.slice(positives, negatives), 0, batch.distinct_negatives});
  run_calls(additions, [&](const CallList<RowAddition>& calls) { add_rows(calls, stream); });
}

Representations NeumfModel::representations() const {
  const TrainedNeumf model = trained();
  const auto tables = [](const TrainedSide& side) {
    return std::vector<VectorTable>{{side.gmf.value, side.gmf.grad},
                                    {side.mlp.value, side.mlp.grad}};
  };
  const int64_t n = 2 * batch_size_;
  const int64_t width = shape_.dim + widths_.back();
  return {tables(model.user), tables(model.item),
          PairVectors{{joint_.matrix(n, width), grad_joint_.matrix(n, width)},
                      pairs().rows(),
                      pair_cursor_.data(),
                      shape_.dim}};
}

void NeumfModel::score_slots(Matrix<float> score, const SlotBatch& batch, Entity anchor,
                             const Stream& stream) {
  const TrainedNeumf model = trained();
  const bool users = anchor == Entity::kUser;
  slots_.forward(score, model, users ? model.user : model.item, users ? model.item : model.user,
                 batch, stream);
}

void NeumfModel::add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                                    const SlotIndex& index, Entity anchor, const Stream& stream) {
  const TrainedNeumf model = trained();
  const bool users = anchor == Entity::kUser;
  slots_.backward(grad_score, model, users ? model.user : model.item,
                  users ? model.item : model.user, batch, index, stream);
}

std::vector<NamedMatrix> NeumfModel::tensors() const {
  std::vector<NamedMatrix> all = {
      {"user_gmf", parameters_.value(user_.gmf)},
      {"item_gmf", parameters_.value(item_.gmf)},
      {"user_mlp", parameters_.value(user_.mlp)},
      {"item_mlp", parameters_.value(item_.mlp)},
      {"hidden.1.user_weight", parameters_.value(user_.weight)},
      {"hidden.1.item_weight", parameters_.value(item_.weight)},
      {"hidden.1.bias", parameters_.value(first_bias_)},
  };
  for (size_t l = 0; l < layers_.size(); ++l) {
    const std::string name = fmt::format("hidden.{}", l + 2);
    all.push_back({name + ".weight", parameters_.value(layers_[l].weight)});
    all.push_back({name + ".bias", parameters_.value(layers_[l].bias)});
  }
  all.push_back({"output.weight", parameters_.value(output_weight_)});
  all.push_back({"output.bias", parameters_.value(output_bias_)});
  return all;
}

Scorer& NeumfModel::scorer(const Stream& stream) {
  if (!scorer_) {
    const TrainedNeumf model = trained();
    const auto side = [](const TrainedSide& s) {
      return NeumfSide{s.gmf.value, s.mlp.value, s.weight.value};
    };
    scorer_ = std::make_unique<NeumfScorer>(NeumfTensors{
        side(model.user), side(model.item), model.first_bias.value.flat(), model.layers,
        model.output_weight.value.flat(), model.output_bias.value.flat()});
  }
  scorer_->update(stream);
  return *scorer_;
}

}  // namespace derrd
