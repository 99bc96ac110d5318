#include "net/ring_link.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "os/barrier.hpp"
#include "os/fd_passing.hpp"
#include "os/random.hpp"
#include "os/runtime_dir.hpp"
#include "os/socket.hpp"

namespace ferry::net {
namespace {

constexpr int k_most_reads = 16;  // of bytes that wake, in a row

result<outgoing_memory> make_outgoing(const std::string& name, const options& with) {
  outgoing_memory made;
  made.sizes = {with.ring_bytes, with.senders == senders_kind::many ? with.sender_rings : 1,
                os::page_bytes(with.huge_pages)};
  if (const auto checked = ring::check(made.sizes); !checked) return checked.error();
  auto fd = os::create_memory("ferry:" + name, made.sizes.total(), with.huge_pages);
  if (!fd) return fd.error();
  made.fd = std::move(*fd);
  auto at = os::mapping::of(made.fd.get(), made.sizes.total(), true, with.prefault);
  if (!at) return at.error();
  made.at = std::move(*at);
  made.epoch = os::random_u64() | 1;
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  ring::format(made.at.span(), made.sizes,
               {name, made.epoch,
                static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count()),
                static_cast<std::uint32_t>(::getpid()), ::geteuid()});
  return made;
}

ring::hello hello_of(ring::hello_kind kind, const outgoing_memory& memory, const std::string& name) {
  return {kind, os::barriers_work(), memory.sizes, memory.epoch, {}, name};
}

result<void> say(int socket, const ring::hello& h, int memory_fd) {
  const auto text = ring::encode(h);
  const auto sent = os::send_with_fd(socket, text, memory_fd);
  if (!sent) return sent.error().in("say hello");
  return {};
}

struct heard {
  ring::hello hello;
  os::unique_fd memory;
};

result<heard> hear(int socket) {
  std::array<std::byte, ring::k_hello_bytes> text{};
  auto got = os::receive_with_fd(socket, text);
  if (!got) {
    if (got.error() == errc::end_of_stream)
      return error(errc::reset, "the peer closed the connection without a hello: it went away, or does not want us");
    return got.error();
  }
  auto hello = ring::decode_hello(bytes(text).first(got->size));
  if (!hello) return hello.error();
  if (hello->kind == ring::hello_kind::refusal) return ring::refusal_of(*hello);
  if (!got->fd) return error(errc::protocol, "the peer sent no memory along");
  return heard{std::move(*hello), std::move(got->fd)};
}

// The header must say what the hello said; from then on only what was checked here is used.
result<os::mapping> map_incoming(const heard& from) {
  const auto size = os::check_foreign_memory(from.memory.get());
  if (!size) return size.error();
  const ring::geometry& sizes = from.hello.memory;
  if (sizes.page_bytes % os::page_bytes(false) != 0 || sizes.page_bytes > os::page_bytes(true) || sizes.total() > *size)
    return error(errc::corrupt, "the peer's memory has " + std::to_string(*size) + " bytes, it announced " +
                                    std::to_string(sizes.total()));
  auto at = os::mapping::of(from.memory.get(), sizes.total(), false);
  if (!at) return at.error();
  const auto told = ring::read_header(at->span(), sizes.total());
  if (!told) return told.error();
  if (!(*told == sizes)) return error(errc::corrupt, "the header of the peer's memory and its hello do not agree");
  if (auto made = at->make_writable(from.memory.get(), sizes.shared_offset(), sizes.page_bytes); !made)
    return made.error();
  return at;
}

ring::shared_page& shared_of(const os::mapping& memory, const ring::geometry& sizes) {
  return *reinterpret_cast<ring::shared_page*>(memory.data() + sizes.shared_offset());
}

std::unique_ptr<ring_link> join(os::unique_fd socket, peer_info peer, outgoing_memory out, const heard& from,
                                os::mapping in_memory) {
  auto link = std::make_unique<ring_link>();
  link->socket = std::move(socket);
  link->peer = std::move(peer);
  link->out_memory = std::move(out.at);
  link->in_memory = std::move(in_memory);
  const bool fenced = !os::barriers_work() || !from.hello.barriers;
  auto& ours = shared_of(link->out_memory, out.sizes);
  auto& theirs = shared_of(link->in_memory, from.hello.memory);
  link->peer_reads = os::bell(ours.records, fenced);
  link->we_wait = os::bell(ours.room, fenced);
  link->we_read = os::bell(theirs.records, fenced);
  link->peer_waits = os::bell(theirs.room, fenced);
  for (std::uint32_t i = 0; i < out.sizes.rings; ++i)
    link->out.emplace_back(link->out_memory.span().subspan(out.sizes.ring_offset(i), out.sizes.ring_bytes),
                           ours.rings[i]);
  const ring::geometry& in = from.hello.memory;
  link->in_sizes = in;
  for (std::uint32_t i = 0; i < in.rings; ++i)
    link->in.emplace_back(link->in_memory.span().subspan(in.ring_offset(i), in.ring_bytes), theirs.rings[i]);
  return link;
}

}  // namespace

void ring_link::tell_writer_slowly(ring_consumer& one) noexcept {
  peer_waits.order();
  if (one.take_producer_waits() && peer_waits.ring()) wake_through_socket();
}

bool ring_link::holds_more_than(std::size_t i, std::uint64_t records) const noexcept {
  ring_line nobodys;  // the peer learns nothing of this look
  const auto at = in_sizes.ring_offset(static_cast<std::uint32_t>(i));
  ring_consumer walker(in_memory.span().subspan(at, in_sizes.ring_bytes), nobodys, in[i].position(), in[i].sequence());
  for (std::uint64_t seen = 0; seen <= records; ++seen) {
    if (!walker.front()) return walker.corrupt();
    walker.pop();
  }
  return true;
}

void ring_link::wake_through_socket() noexcept {
  wakes.fetch_add(1, std::memory_order_relaxed);
  const std::byte one{};
  const bytes wake(&one, 1);
  (void)os::send(socket.get(), std::span(&wake, 1));  // full: it has enough to wake up for; broken: reading tells
}

bool ring_link::take_wakes() noexcept {
  std::array<std::byte, 256> unused;  // NOLINT: only how many there are matters
  // What is left shows again: a peer that never stops must not keep us here.
  for (int i = 0; i < k_most_reads; ++i) {
    const auto n = os::receive(socket.get(), unused);
    if (n && *n == unused.size()) continue;
    return n || n.error() == errc::would_block;
  }
  return true;
}

result<std::string> ring_socket_path(const std::string& name, const options& with, bool create) {
  if (name.empty() || name.find('/') != name.npos || name.front() == '.')
    return error(errc::bad_address, "'" + name +
                                        "' cannot name a shared-memory endpoint: write letters, digits, "
                                        "'-', '_' or '.', without '/' and not beginning with '.'");
  const auto directory = os::runtime_directory(with.runtime_dir, create);
  if (!directory) return directory.error();
  std::string path = *directory + "/" + name + ".shm";
  if (const auto fits = os::unix_address(path); !fits) return fits.error();
  return path;
}

result<ring_connecting> ring_connecting::start(const std::string& name, const options& with) {
  const auto path = ring_socket_path(name, with, false);
  if (!path) return path.error();
  const auto address = os::unix_address(*path);
  ring_connecting made;
  // First, so that a listener is not bothered by somebody who has nothing to offer.
  auto out = make_outgoing(name, with);
  if (!out) return out.error();
  made.out_ = std::move(*out);
  auto socket = os::open_stream_socket(AF_UNIX, with);
  if (!socket) return socket.error();
  made.socket_ = std::move(*socket);
  // A Unix socket connects at once, or not at all.
  if (const auto connected = os::start_connect(made.socket_.get(), *address); !connected) return connected.error();
  made.peer_ = os::identify_peer(made.socket_.get(), *address);
  const auto said = say(made.socket_.get(), hello_of(ring::hello_kind::hello, made.out_, name), made.out_.fd.get());
  if (!said) return said.error();
  made.out_.fd.reset();
  return made;
}

result<std::unique_ptr<ring_link>> ring_connecting::on_readable() {
  const auto answer = hear(socket_.get());
  if (!answer) return answer.error();
  if (answer->hello.kind != ring::hello_kind::welcome) return error(errc::protocol, "a hello instead of a welcome");
  auto in_memory = map_incoming(*answer);
  if (!in_memory) return in_memory.error();
  return join(std::move(socket_), peer_, std::move(out_), *answer, std::move(*in_memory));
}

result<std::unique_ptr<ring_link>> ring_accepting::on_readable() {
  auto made = welcome();
  if (!made && made.error() != errc::would_block && socket_) {
    const ring::hello no{ring::hello_kind::refusal, false, {}, 0, made.error().reason(), made.error().text()};
    (void)say(socket_.get(), no, -1);  // it may be gone already
  }
  return made;
}

result<std::unique_ptr<ring_link>> ring_accepting::welcome() {
  const auto asked = hear(socket_.get());
  if (!asked) return asked.error();
  if (asked->hello.kind != ring::hello_kind::hello) return error(errc::protocol, "a welcome instead of a hello");
  auto in_memory = map_incoming(*asked);
  if (!in_memory) return in_memory.error();
  auto out = make_outgoing(name_, *with_);
  if (!out) return out.error();
  const ring::hello answer = hello_of(ring::hello_kind::welcome, *out, name_);
  const os::unique_fd memory = std::move(out->fd);
  if (const auto said = say(socket_.get(), answer, memory.get()); !said) return said.error();
  return join(std::move(socket_), peer_, std::move(*out), *asked, std::move(*in_memory));
}

}  // namespace ferry::net
