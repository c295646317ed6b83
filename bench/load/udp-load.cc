// A UDP load generator that costs little itself: batches of datagrams by sendmmsg and recvmmsg, no
// GSO, no allocation while it runs.
//
//   udp-load send ADDRESS PORT RATE SECONDS RUN   64-byte datagrams, paced; prints "sent N seconds S"
//   udp-load receive PORT RCVBUF                  counts datagrams by run; for each line "RUN" on
//                                                 stdin waits for 150 ms of silence and prints
//                                                 "received N"
//   udp-load replay FILE ADDRESS PORT RATE SECONDS
//                                                 datagrams of a file, each preceded by its length
//                                                 (16 bits, little-endian), over and over
//
// A payload of `send` is: sequence number (8 bytes), run (8 bytes), zeros.
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int kBatch = 32;
constexpr size_t kPayload = 64;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kTick = 200'000;  // pace in steps of 0.2 ms
constexpr int kSilenceMs = 150;

[[noreturn]] void Die(const char* what) {
  perror(what);
  exit(1);
}

int64_t Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

int Connect(const char* address, const char* port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  if (getaddrinfo(address, port, &hints, &found) != 0) Die(address);
  const int fd = socket(found->ai_family, SOCK_DGRAM, 0);
  if (fd < 0) Die("socket");
  const int size = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) Die("connect");
  freeaddrinfo(found);
  return fd;
}

// Calls `fill(i)` for datagram number i and sends them at `rate` for `seconds`; prints what left.
// A datagram that the kernel refuses counts as sent: to the receiver it is lost.
template <typename Fill>
void Paced(int fd, double rate, double seconds, Fill fill) {
  mmsghdr messages[kBatch]{};
  iovec vectors[kBatch];
  const int64_t start = Now();
  const int64_t end = start + static_cast<int64_t>(seconds * kSecond);
  int64_t tick = start;
  uint64_t sent = 0;
  for (int64_t now = start; now < end; now = Now()) {
    const auto due = static_cast<uint64_t>(static_cast<double>(now - start) * rate / kSecond);
    while (sent < due) {
      const int n = static_cast<int>(due - sent < kBatch ? due - sent : kBatch);
      for (int i = 0; i < n; i++) {
        vectors[i] = fill(sent + static_cast<uint64_t>(i), i);
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      const int done = sendmmsg(fd, messages, static_cast<unsigned>(n), 0);
      sent += static_cast<uint64_t>(done > 0 ? done : 1);
      if (Now() >= end) break;
    }
    tick += kTick;
    if (tick < now) tick = now;
    const timespec at{tick / kSecond, tick % kSecond};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
  }
  printf("sent %llu seconds %.6f\n", static_cast<unsigned long long>(sent),
         static_cast<double>(Now() - start) / kSecond);
}

void Send(const char* address, const char* port, double rate, double seconds, uint64_t run) {
  const int fd = Connect(address, port);
  static uint8_t payloads[kBatch][kPayload];
  Paced(fd, rate, seconds, [run](uint64_t sequence, int slot) {
    memcpy(payloads[slot], &sequence, 8);
    memcpy(payloads[slot] + 8, &run, 8);
    return iovec{payloads[slot], kPayload};
  });
}

void Replay(const char* file, const char* address, const char* port, double rate, double seconds) {
  FILE* in = fopen(file, "rb");
  if (in == nullptr) Die(file);
  std::vector<std::string> datagrams;
  uint8_t length[2];
  while (fread(length, 1, 2, in) == 2) {
    std::string datagram(static_cast<size_t>(length[0] | length[1] << 8), '\0');
    if (fread(datagram.data(), 1, datagram.size(), in) != datagram.size()) Die(file);
    datagrams.push_back(std::move(datagram));
  }
  fclose(in);
  if (datagrams.empty()) Die(file);
  Paced(Connect(address, port), rate, seconds, [&datagrams](uint64_t sequence, int) {
    std::string& datagram = datagrams[sequence % datagrams.size()];
    return iovec{datagram.data(), datagram.size()};
  });
}

void Receive(const char* port, int buffer) {
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (fd < 0) Die("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(static_cast<uint16_t>(atoi(port)));
  if (bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) Die("bind");

  static uint8_t payloads[kBatch][kPayload];
  mmsghdr messages[kBatch]{};
  iovec vectors[kBatch];
  for (int i = 0; i < kBatch; i++) {
    vectors[i] = {payloads[i], kPayload};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  uint64_t run = 0, received = 0;
  bool asked = false;
  std::string line;
  printf("ready\n");
  fflush(stdout);
  pollfd polled[2] = {{fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    const int ready = poll(polled, 2, asked ? kSilenceMs : -1);
    if (ready < 0 && errno != EINTR) Die("poll");
    if (ready == 0) {
      printf("received %llu\n", static_cast<unsigned long long>(received));
      fflush(stdout);
      asked = false;
    }
    if (polled[0].revents & POLLIN) {
      for (int n; (n = recvmmsg(fd, messages, kBatch, 0, nullptr)) > 0;) {
        for (int i = 0; i < n; i++) {
          if (messages[i].msg_len < 16) continue;
          uint64_t of;
          memcpy(&of, payloads[i] + 8, 8);
          if (of < run) continue;  // a late one of an earlier run
          if (of > run) run = of, received = 0;
          received++;
        }
      }
    }
    if (polled[1].revents & (POLLIN | POLLHUP)) {
      char text[64];
      const ssize_t n = read(STDIN_FILENO, text, sizeof text);
      if (n <= 0) return;
      line.append(text, static_cast<size_t>(n));
      for (size_t end; (end = line.find('\n')) != std::string::npos; line.erase(0, end + 1)) {
        const uint64_t of = strtoull(line.c_str(), nullptr, 10);
        if (of > run) run = of, received = 0;  // not one of them arrived
        asked = true;
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "send" && argc == 7) {
    Send(argv[2], argv[3], atof(argv[4]), atof(argv[5]), strtoull(argv[6], nullptr, 10));
  } else if (mode == "receive" && argc == 4) {
    Receive(argv[2], atoi(argv[3]));
  } else if (mode == "replay" && argc == 7) {
    Replay(argv[2], argv[3], argv[4], atof(argv[5]), atof(argv[6]));
  } else {
    fprintf(stderr, "usage: see the head of udp-load.cc\n");
    return 2;
  }
  return 0;
}
