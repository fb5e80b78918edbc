#include "apps/commands/info.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/cli/config_option.h"
#include "apps/cli/message.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "data/formats/safetensors.h"
#include "data/joined.h"
#include "data/printable.h"
#include "data/version.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

struct InfoCommand {
  std::string file;
  IdleOptions idle;
};

constexpr const char* kLine = "{:<10} {}\n";

void print_build() {
  print_out(kLine, "derrd", kVersion);
  print_out(kLine, "compiler", DERRD_COMPILER);
  print_out(kLine, "build", DERRD_BUILD_TYPE);
  print_out(kLine, "backend", DERRD_BACKEND_NAME);
  try {
    const DeviceInfo device = device_info();
    print_out(kLine, "device", device.name);
    if (device.memory_bytes > 0) {
      print_out("{:<10} {:.1f} GB\n", "memory", static_cast<double>(device.memory_bytes) / 1e9);
    }
    if (device.cache_bytes > 0) {
      print_out("{:<10} {:.1f} MB\n", "cache", static_cast<double>(device.cache_bytes) / 1e6);
    }
    print_out(kLine, "threads", device.threads);
    print_out(kLine, "libraries", device.libraries);
    print_out(kLine, "arithmetic", device.arithmetic);
  } catch (const DeviceError& e) {
    print_out("{:<10} none ({})\n", "device", e.what());
  }
}

std::string kind_of(const SafetensorsFile& file) {
  const std::string format = file.metadata_or("format", "");
  if (format == "derrd-dataset") return "data set of derrd";
  if (format == "derrd-model") return "model of derrd";
  if (format == "derrd-checkpoint") return "checkpoint of derrd";
  if (format == "derrd-gate-record") return "gate record of derrd";
  if (format == "derrd-lists") return "recommendations of derrd";
  if (file.contains("user_embedding") && file.contains("item_embedding")) {
    return "safetensors file with embeddings: usable as a teacher or a model";
  }
  return "safetensors file";
}

/// Quotes a text that is not plain.
std::string quoted_if_odd(const std::string& text) {
  for (const char c : text) {
    if (c < ' ' || c > '~') return printable(text);
  }
  return text;
}

/// Indents JSON in metadata.
std::string shown(const std::string& value) {
  const auto json = nlohmann::ordered_json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) {
    std::string text;
    for (const auto& [key, entry] : json.items()) {
      text +=
          fmt::format("\n  {}: {}", quoted_if_odd(key), entry.dump(-1, ' ', /*ensure_ascii=*/true));
    }
    return text;
  }
  return quoted_if_odd(value);
}

void print_file(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  print_out("{}: {}\n", path, kind_of(file));
  for (const auto& [key, value] : file.metadata()) {
    if (key != "format") print_out("{}: {}\n", quoted_if_odd(key), shown(value));
  }
  for (const auto& [name, tensor] : file.tensors()) {
    print_out("tensor {} {} [{}]\n", printable(name), dtype_name(tensor.dtype),
              joined(tensor.shape));
  }
}

void run(const InfoCommand& command) {
  set_threads(command.idle.threads);
  if (command.file.empty()) {
    print_build();
  } else {
    print_file(command.file);
  }
}

}  // namespace

void add_info(CLI::App& app) {
  auto options = std::make_shared<InfoCommand>();
  CLI::App* command = app.add_subcommand(
      "info",
      "Describe a file and its origin; without a file, describe this program and its device");
  add_config_option(*command);
  command
      ->add_option("file", options->file,
                   "Data set, model, checkpoint, lists, or any safetensors file")
      ->type_name("FILE");
  add_idle_options(*command, options->idle);
  command->footer("Example:\n  derrd info teacher.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
