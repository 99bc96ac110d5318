#pragma once
/// A connection that speaks tcpshm's protocol: a queue in a file and an end of a TCP connection, or two rings.

#include <optional>

#include "compat/tcpshm_link.hpp"
#include "compat/tcpshm_tcp_end.hpp"
#include "os/tcpshm_files.hpp"
#include "ring/tcpshm_ring.hpp"
#include "session/tcpshm_queue.hpp"

namespace ferry::compat::tcpshm {

class queue_link final : public link {
 public:
  queue_link(const settings& how, std::string remote_name) : link(how, std::move(remote_name)), tcp_(how) {}

  [[nodiscard]] message_header* alloc(std::size_t size) noexcept override;
  [[nodiscard]] std::error_code push(bool more) noexcept override;
  [[nodiscard]] const message* front() override;
  void pop() noexcept override;
  [[nodiscard]] connection::progress where() const noexcept override;
  [[nodiscard]] std::size_t unacknowledged() const noexcept override;
  [[nodiscard]] std::uint64_t unacknowledged_messages() const noexcept override;
  [[nodiscard]] std::uint64_t pushed_bytes() const noexcept override { return pushed_bytes_; }
  [[nodiscard]] backlog waiting() const noexcept override;
  void tend(std::int64_t now) override;
  void release() noexcept override;

  // Of clients, before a login.

  /// Another server; its files are others.
  void rename(std::string remote_name);
  /// Opens the queue. @return what to say in a login
  [[nodiscard]] result<sequence_range> open_for_login();
  /// Keeps numbers that did not fit together beside the queue, for who mends it.
  void note_mismatch(const sequence_range& local, const sequence_range& remote) const noexcept;

 private:
  struct rings {
    os::tcpshm::held_file out_file, in_file;
    ring::tcpshm_ring_memory out_memory, in_memory;
    ring::tcpshm_ring_producer out;
    ring::tcpshm_ring_consumer in;
  };
  struct queue {
    os::tcpshm::held_file file;
    session::tcpshm_queue at;
  };

  // link
  void begin_turn(std::int64_t now) override;
  void end_turn() override;
  [[nodiscard]] bool delivered() override { return !front_; }
  void rest() noexcept override { tcp_.forget(); }
  [[nodiscard]] join_outcome prepare_login() override { return {}; }
  [[nodiscard]] join_outcome join_now() override;
  void open(os::unique_fd fd, std::int64_t now) override { tcp_.open(std::move(fd), now); }
  void shut() noexcept override { tcp_.close(); }
  [[nodiscard]] std::optional<ending> over_beside() const override { return tcp_.over(); }

  [[nodiscard]] std::string path_of_queue() const;
  void flush();
  void receive();
  void tend_queue();
  [[nodiscard]] const message* front_of_ring();
  [[nodiscard]] const message* front_of_queue();
  [[nodiscard]] result<void> open_queue(bool begins);
  [[nodiscard]] result<void> open_rings();
  [[nodiscard]] result<void> begin_rings(bool as_client);
  [[nodiscard]] join_outcome join_queue();
  [[nodiscard]] join_outcome join_rings();

  tcp_end tcp_;

  // The polling thread's.
  std::optional<queue> queue_;
  std::optional<rings> rings_;
  message_header* writing_ = nullptr;  // what alloc() gave
  std::optional<message> front_;
  std::size_t unacknowledged_ = 0;  // bytes that were consumed since something was sent
  std::uint64_t pushed_bytes_ = 0;
};

}  // namespace ferry::compat::tcpshm
