#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/models/model.h"
#include "engine/preset.h"
#include "engine/teacher/teacher.h"
#include "engine/training/parameters.h"

namespace derrd {

/// An option of a distillation loss, as a command line, a recipe and a model's metadata name it.
struct LossOption {
  std::string name;  ///< "lambda-rrd"
  std::string help;
  std::variant<double*, int64_t*, bool*, std::string*> value;  ///< of the LossFactory
  double least = -std::numeric_limits<double>::infinity();  ///< of a number; the bound is allowed
  double most = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  ///< of a string
};

/// What losses are made from.
struct DistillContext {
  Teacher& teacher;
  const DeviceDataset& data;
  Model& student;
  Parameters& parameters;
  int64_t batch_size = 1024;
  Preset preset = Preset::kAuthors;
  const Stream& stream;
};

/// A distillation loss as users know it: its name, its options, and how a loss is made of
/// them. Adding a loss is a file in this folder with one of these, and a line in catalogue.cpp.
class LossFactory {
 public:
  virtual ~LossFactory() = default;

  /// Part of a method's name: "rrd".
  virtual std::string_view name() const = 0;
  /// A heading for its options.
  virtual std::string_view title() const = 0;
  /// Its options, which belong to this object; the first is the weight of the loss.
  virtual std::vector<LossOption> options() = 0;
  /// What is wrong with the options' values together; empty: nothing.
  virtual std::string complaint() const { return ""; }
  /// Another loss whose options' values matter to this one too, in the method or not; null: none.
  virtual const LossFactory* consulted() const { return nullptr; }
  /// What the teacher has to have.
  virtual TeacherPart needs() const = 0;
  /// The part of the base loss that the weighted loss should be (Section 5.4), by the student's
  /// kind; 0: the paper recommends none.
  virtual double recommended_share(std::string_view) const { return 0; }
  /// To be called before Parameters::allocate(): losses declare parameters of their own.
  /// The teacher has what the loss needs.
  virtual std::unique_ptr<DistillationLoss> make(const DistillContext& context) const = 0;
};

}  // namespace derrd
