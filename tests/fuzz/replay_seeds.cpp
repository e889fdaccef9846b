// Runs a fuzz target over stored inputs, for builds without libFuzzer.
//
// usage: <target> FILE-OR-FOLDER...
//        <target> --mutate FIRST COUNT FILE-OR-FOLDER...
//
// With --mutate, each run takes one of the inputs and changes it as the target's own mutator says,
// by the number of the run. An input that crashes, or needs more time or memory than is allowed, is
// left in ./failing_input.
// Fails if there is nothing to replay: a test that ran no input proves nothing.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                                                     std::size_t size,
                                                                     std::size_t most,
                                                                     unsigned seed);

// What mutators call where libFuzzer is not there: a few bytes change.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t) {
  static std::mt19937_64 random(1);
  if (size == 0) return 0;
  for (std::size_t n = 1 + random() % 16; n != 0; --n)
    data[random() % size] ^= static_cast<std::uint8_t>(1U << random() % 8);
  return size;
}

namespace {

// Processor time and memory for one input. Sanitizers make everything several times slower; the
// slowest sound input takes a hundredth of this without them.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kMostSeconds = 20;
#else
constexpr int kMostSeconds = 2;
#endif
constexpr long kMostKib = 1 << 20;
constexpr std::size_t kLargestInput = 1 << 20;

const std::uint8_t* current = nullptr;
std::size_t current_size = 0;

// Only system calls: it runs in signal handlers.
void save_current() {
  const int file = ::open("failing_input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return;
  [[maybe_unused]] const auto written = ::write(file, current, current_size);
  ::close(file);
}

void on_failure(int signal) {
  constexpr std::string_view kSlow = "this input takes too much time; see failing_input\n";
  save_current();
  if (signal == SIGPROF) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kSlow.data(), kSlow.size());
    ::_exit(1);
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void watch() {
  ::signal(SIGPROF, on_failure);
  ::signal(SIGABRT, on_failure);
#if !defined(__SANITIZE_ADDRESS__)
  ::signal(SIGSEGV, on_failure);
#endif
}

void run(const std::vector<std::uint8_t>& input) {
  current = input.data();
  current_size = input.size();
  const itimerval limit{{0, 0}, {kMostSeconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  const itimerval off{};
  ::setitimer(ITIMER_PROF, &off, nullptr);
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  if (used.ru_maxrss <= kMostKib) return;
  std::fprintf(stderr, "this input takes too much memory; see failing_input\n");
  save_current();
  std::exit(1);
}

std::vector<std::filesystem::path> collect(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::uint8_t> read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::filesystem::filesystem_error("cannot read", file, {});
  // Exactly sized, so that AddressSanitizer sees a read past the end.
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  return {bytes.begin(), bytes.end()};
}

void mutate(const std::vector<std::vector<std::uint8_t>>& seeds, unsigned first, unsigned count) {
  for (unsigned number = first; number < first + count; ++number) {
    std::mt19937_64 random(number);
    std::vector<std::uint8_t> input = seeds[random() % seeds.size()];
    for (auto rounds = 1 + random() % 3; rounds != 0; --rounds) {
      const std::size_t size = input.size();
      const std::size_t most = std::max(size, kLargestInput);
      input.resize(most);
      input.resize(
          LLVMFuzzerCustomMutator(input.data(), size, most, static_cast<unsigned>(random())));
    }
    input.shrink_to_fit();
    run(input);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    watch();
    const bool mutates = argc > 4 && std::string_view(argv[1]) == "--mutate";
    if (mutates && LLVMFuzzerCustomMutator == nullptr) {
      std::fprintf(stderr, "this target has no mutator\n");
      return 2;
    }
    std::size_t replayed = 0;
    std::vector<std::vector<std::uint8_t>> seeds;
    for (int i = mutates ? 4 : 1; i < argc; ++i) {
      for (const auto& file : collect(argv[i])) {
        if (mutates) {
          seeds.push_back(read(file));
          continue;
        }
        std::printf("%s\n", file.c_str());
        std::fflush(stdout);  // names the culprit if the target crashes
        run(read(file));
        ++replayed;
      }
    }
    if (mutates && !seeds.empty()) {
      const auto count = static_cast<unsigned>(std::stoul(argv[3]));
      mutate(seeds, static_cast<unsigned>(std::stoul(argv[2])), count);
      replayed = count;
    }
    if (replayed == 0) {
      std::fprintf(stderr, "no seeds to replay\n");
      return 1;
    }
    std::printf("%zu %s\n", replayed, mutates ? "mutated inputs" : "seeds replayed");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
