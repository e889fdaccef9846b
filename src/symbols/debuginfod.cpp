// The client is a library of its own (libdebuginfod) with dependencies of its own, which only those
// need who use it: it is loaded when it is first wanted, as libdw does it too.
#include "symbols/debuginfod.h"

#include <dlfcn.h>

#include <cstdlib>

namespace heapscan {

namespace {

constexpr const char* kLibrary = "libdebuginfod.so.1";

struct Client {
  void* (*begin)() = nullptr;
  // As a string when the length is 0. Returns a file descriptor or -errno; the path is malloc's.
  int (*find)(void* client, const unsigned char* build_id, int length, char** path) = nullptr;
  void (*end)(void* client) = nullptr;
  [[nodiscard]] bool complete() const { return begin && find && end; }
};

bool is_configured() {
  const char* const urls = std::getenv("DEBUGINFOD_URLS");
  return urls != nullptr && *urls != '\0';
}

Client load_client() {
  Client client;
  void* const library = ::dlopen(kLibrary, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return client;
  const auto find = [&](auto& function, const char* name) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
  };
  find(client.begin, "debuginfod_begin");
  find(client.find, "debuginfod_find_debuginfo");
  find(client.end, "debuginfod_end");
  return client;
}

const Client& the_client() {
  static const Client client = load_client();
  return client;
}

}  // namespace

FetchedFile fetch_debug_file(const std::string& build_id) {
  FetchedFile fetched;
  if (build_id.empty() || !is_configured() || !the_client().complete()) return fetched;
  void* const session = the_client().begin();
  if (session == nullptr) return fetched;
  char* path = nullptr;
  const int file = the_client().find(
      session, reinterpret_cast<const unsigned char*>(build_id.c_str()), 0, &path);
  if (file >= 0) {
    fetched.file = Fd(file);
    if (path != nullptr) fetched.path = path;
  }
  std::free(path);
  the_client().end(session);
  return fetched;
}

bool debuginfod_is_missing() { return is_configured() && !the_client().complete(); }

}  // namespace heapscan
