#include "data/formats/text_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "data/error.h"

namespace derrd {

void TextInput::Close::operator()(gzFile_s* file) const { gzclose_r(file); }

TextInput::TextInput(const std::filesystem::path& path)
    : name_(path == "-" ? "standard input" : path.string()) {
  std::error_code error;
  if (path != "-" && !std::filesystem::exists(path, error)) {
    refuse("there is no such file; check the name");
  }
  if (path != "-" && std::filesystem::is_directory(path, error)) {
    refuse("is a folder; name a file");
  }
  const int descriptor = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    refuse(fmt::format("can't be read: {}; check its permissions", std::strerror(errno)));
  }
  file_.reset(gzdopen(descriptor, "rb"));
  if (!file_) {
    close(descriptor);
    refuse("can't be read: there is too little memory; free some");
  }
  gzbuffer(file_.get(), 1u << 18);
}

void TextInput::refuse(std::string_view what) const {
  throw Error(fmt::format("{}: {}", name_, what));
}

size_t TextInput::read(char* bytes, size_t size) {
  size_t got = 0;
  while (got < size) {
    const auto wanted = static_cast<unsigned>(std::min<size_t>(size - got, INT_MAX));
    const int count = gzread(file_.get(), bytes + got, wanted);
    if (count > 0) got += static_cast<size_t>(count);
    if (count == static_cast<int>(wanted)) continue;
    int error = Z_OK;
    const char* what = gzerror(file_.get(), &error);
    if (error == Z_OK || error == Z_STREAM_END) break;
    if (error == Z_ERRNO) refuse(fmt::format("can't be read: {}; try again", std::strerror(errno)));
    refuse(fmt::format("can't be unpacked: {}; fetch it again", what));
  }
  return got;
}

}  // namespace derrd
