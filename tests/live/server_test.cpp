// A busy server with many threads is captured a thousand times and its clients notice nothing.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "heapscan/acquire/capture.h"
#include "live/target.h"
#include "support/machine.h"

namespace heapscan {
namespace {

using testing::status_field;
using testing::Target;

constexpr int kCaptures = 1000;
constexpr const char* kConnections = "8";
constexpr const char* kSecondsOfOneLoad = "2";

// Clients that come anew every two seconds until they are ended.
class Clients {
 public:
  explicit Clients(std::string port) : port_(std::move(port)), thread_([this] { run(); }) {}
  ~Clients() { stop(); }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  void stop() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] uint64_t requests() const { return requests_; }
  [[nodiscard]] int failed_loads() const { return failed_loads_; }

 private:
  void run() {
    while (!done_) {
      Target load(PROGRAM_LOAD, {port_, kConnections, kSecondsOfOneLoad});
      requests_ += std::stoull(load.fact("requests").at(0));
      failed_loads_ += load.wait() != 0;
    }
  }

  std::string port_;
  std::atomic<bool> done_{false};
  uint64_t requests_ = 0;
  int failed_loads_ = 0;
  std::thread thread_;
};

TEST(LiveServer, AThousandCapturesUnderLoadFailNoRequest) {
  if (const auto why = why_no_loopback()) GTEST_SKIP() << *why;
  Target server(PROGRAM_SERVER);
  ASSERT_TRUE(server.is_ready());
  const std::string threads = status_field(server.pid(), "Threads");
  Clients clients(server.fact("ready").at(1));
  double paused = 0;
  for (int i = 0; i < kCaptures; ++i) {
    paused += capture_process(server.pid()).facts.pause_seconds.value();
  }
  clients.stop();
  std::printf("%d captures, %.2f ms each on average, %llu requests\n", kCaptures,
              paused * 1e3 / kCaptures, static_cast<unsigned long long>(clients.requests()));
  EXPECT_GT(clients.requests(), 0U);
  EXPECT_EQ(clients.failed_loads(), 0);
  EXPECT_EQ(status_field(server.pid(), "Threads"), threads);
  EXPECT_EQ(status_field(server.pid(), "TracerPid"), "0");
}

}  // namespace
}  // namespace heapscan
