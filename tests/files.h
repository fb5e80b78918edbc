#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "data/error.h"

namespace derrd::test {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A test's own temporary folder, removed with everything in it.
class TestFolder {
 public:
  TestFolder() {
    path_ = (std::filesystem::temp_directory_path() / "derrd-test-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  /// Writes a file, and returns its path.
  std::string write(std::string_view name, std::string_view text) const {
    write_text(*this / name, text);
    return *this / name;
  }
  /// Names of the files in it, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      result.push_back(entry.path().filename().string());
    }
    std::sort(result.begin(), result.end());
    return result;
  }

 private:
  std::string path_;
};

/// The message of the Error that `action` throws; a failure if it throws none.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no derrd::Error was thrown";
  return "";
}

/// Tells whether `text` contains `part`, and both of them if it doesn't.
inline testing::AssertionResult contains(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << '"' << part << "\" is not in: " << text;
}

/// Expects `action` to throw an Error whose message contains `part`.
inline void expect_error(const std::function<void()>& action, std::string_view part) {
  EXPECT_TRUE(contains(error_of(action), part));
}

inline void expect_contains(std::string_view text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_TRUE(contains(text, part));
}

/// A text with one bit flipped.
inline std::string flipped(std::string text, size_t bit) {
  text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
  return text;
}

/// Tells whether a script in Python may import these modules.
inline bool python_has(const std::string& modules) {
  return std::system(("python3 -c 'import " + modules + "' 2>/dev/null").c_str()) == 0;
}

/// Runs a script in Python, whose argument is the path of the folder; expects success.
inline void run_python(const TestFolder& folder, std::string_view script) {
  const std::string command =
      "python3 '" + folder.write("script.py", script) + "' '" + folder.path() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace derrd::test
