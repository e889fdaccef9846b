// Captures a process again and again: capture_repeatedly PID [TIMES [STOP_LIMIT_MS]]. Prints
// `ready` before each capture and a line after it; the tests kill it at random moments. TIMES 0
// means until killed.
#include <cstdio>
#include <cstdlib>

#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int pid = std::atoi(argv[1]);
  const int times = argc > 2 ? std::atoi(argv[2]) : 1;
  heapscan::CaptureOptions options;
  if (argc > 3) options.stop_limit = std::chrono::milliseconds(std::atoi(argv[3]));
  try {
    for (int i = 0; times == 0 || i < times; ++i) {
      std::puts("ready");
      std::fflush(stdout);
      const auto capture = heapscan::capture_process(pid, options);
      std::printf("captured %zu threads in %.6f s\n", capture.image.threads().size(),
                  capture.facts.pause_seconds.value_or(0));
      for (const auto& [part, seconds] : capture.pause_parts) {
        std::printf("pause %.6f %s\n", seconds, part.c_str());
      }
      for (const auto& note : capture.image.notes()) {
        std::printf("note %s %s: %s\n", heapscan::name_of(note.kind), note.where.c_str(),
                    note.text.c_str());
      }
      std::fflush(stdout);
    }
  } catch (const heapscan::Error& error) {
    std::printf("error %s\n", error.what());
    return 3;
  }
  return 0;
}
