#include "real/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <stdexcept>

#include "heapscan/base/error.h"

namespace heapscan {
namespace {

constexpr time_t kSecondsToWait = 60;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + describe_errno(errno));
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd make_socket() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) fail("socket");
  return fd;
}

size_t content_length(const std::string& head) {
  const std::string name = "Content-Length: ";
  const size_t at = head.find(name);
  if (at == std::string::npos) throw std::runtime_error("no Content-Length in: " + head);
  return std::stoul(head.substr(at + name.size()));
}

}  // namespace

uint16_t free_port() {
  const Fd fd = make_socket();
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

HttpConnection::HttpConnection(uint16_t port) : socket_(make_socket()) {
  const sockaddr_in address = loopback(port);
  const timeval patience{kSecondsToWait, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("connect to port " + std::to_string(port));
  }
}

std::string HttpConnection::get(const std::string& path) {
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  if (send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    fail("send");
  }
  std::string answer;
  size_t expected = std::string::npos;
  while (answer.size() < expected) {
    char buffer[16384];
    const ssize_t got = recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got <= 0) fail("recv");
    answer.append(buffer, static_cast<size_t>(got));
    const size_t head_end = answer.find("\r\n\r\n");
    if (head_end != std::string::npos) {
      expected = head_end + 4 + content_length(answer.substr(0, head_end));
    }
  }
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

}  // namespace heapscan
