// Runs a fuzz target over stored inputs, for builds without libFuzzer.
//
// usage: <target> FILE-OR-FOLDER...
// Fails if there is nothing to replay: a test that ran no input proves nothing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> collect(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void replay(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::filesystem::filesystem_error("cannot read", file, {});
  // Exactly sized, so that AddressSanitizer sees a read past the end.
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::size_t replayed = 0;
    for (int i = 1; i < argc; ++i) {
      for (const auto& file : collect(argv[i])) {
        std::printf("%s\n", file.c_str());
        std::fflush(stdout);  // names the culprit if the target crashes
        replay(file);
        ++replayed;
      }
    }
    if (replayed == 0) {
      std::fprintf(stderr, "no seeds to replay\n");
      return 1;
    }
    std::printf("%zu seeds replayed\n", replayed);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
