#pragma once
/// A connection that speaks the protocol of Ferry's persistent sessions: the session's files, and a stream or the
/// memory of both rings that carries it. Source: docs/sessions.md.
///
///     alloc, push_more --> open transaction <-- pop
///                               | push(), the end of a callback, the next poll
///                               v
///                             commit --> peer
///
/// With durability::disk a commit waits for the disk: the next poll, or what a login begins with.

#include <array>
#include <memory>
#include <optional>

#include "compat/tcpshm_link.hpp"
#include "compat/tcpshm_session_memory.hpp"
#include "compat/tcpshm_session_stream.hpp"
#include "os/session_store.hpp"

namespace ferry::compat::tcpshm {

class session_link final : public link {
 public:
  session_link(const settings& how, std::string remote_name);
  ~session_link() override { give_back(); }

  [[nodiscard]] message_header* alloc(std::size_t size) noexcept override;
  [[nodiscard]] std::error_code push(bool more) noexcept override;
  [[nodiscard]] const message* front() override;
  void pop() noexcept override;
  [[nodiscard]] connection::progress where() const noexcept override;
  [[nodiscard]] std::size_t unacknowledged() const noexcept override;
  [[nodiscard]] int shared_fd() const noexcept override;
  void tend(std::int64_t now) override;
  void release() noexcept override { give_back(); }

 private:
  // A message of so many bytes is written when it is committed: what is written into the ring before is a line that the
  // peer, who looks again and again, takes away.
  static constexpr std::size_t k_small = session::persistent_session::k_small;
  // Where a small message is written, its body on a line of its own: what was written across two lines is slow to read
  // right after.
  struct alignas(64) small_message {
    std::array<std::byte, 64> head;
    std::array<std::byte, k_small> body;
  };

  // link
  void begin_turn(std::int64_t now) override;
  void end_turn() override;
  void begin_look() override;
  void end_look() override;
  [[nodiscard]] bool delivered() override;
  void undo() noexcept override;
  void rest() noexcept override { detach(); }
  [[nodiscard]] join_outcome prepare_login() override;
  [[nodiscard]] join_outcome join_now() override;
  void open(os::unique_fd fd, std::int64_t now) override;
  void shut() noexcept override;
  [[nodiscard]] std::optional<ending> over_beside() const override { return beside_over_; }

  [[nodiscard]] session::persistent_session& session() const noexcept { return store_->session(); }
  void give_back() noexcept;
  void detach() noexcept;
  void begin_step() noexcept;
  void commit_open() noexcept;
  void committed() noexcept;
  [[nodiscard]] bool on_disk() const noexcept { return how_->with.durable == durability::disk; }
  [[nodiscard]] result<void> sync();
  [[nodiscard]] result<void> commit_for_good();
  [[nodiscard]] bool sync_in_poll();
  [[nodiscard]] bool put(const message_view& m, bool more) noexcept;
  [[nodiscard]] const message* front_of_stream();
  [[nodiscard]] const message* nothing_came();
  [[nodiscard]] const message* other_than_ours(const ring_record& record);
  [[nodiscard]] const message* show(const message_view& m) noexcept {
    front_ = {static_cast<std::uint32_t>(m.payload.size() + sizeof(message_header)), m.type, m.payload};
    has_front_ = true;
    return &front_;
  }
  void damaged();

  [[nodiscard]] result<void> open_store();
  [[nodiscard]] session::local_side self();
  [[nodiscard]] join_outcome join_as_client();
  [[nodiscard]] join_outcome join_as_server();
  [[nodiscard]] result<void> meet(const session::login& answer);
  [[nodiscard]] std::uint32_t most_we_take() const noexcept;
  [[nodiscard]] result<void> attach();

  // The polling thread's.
  std::unique_ptr<os::session_store> store_;
  std::unique_ptr<session_memory> memory_;
  session_stream stream_;
  session::login sent_;                // a client's
  std::size_t most_;                   // bytes of a message that we and the peer take, as far as it has said so
  bool mapped_its_ring_ = false;       // some connection of these files did
  bool disk_failed_ = false;           // the files are to be opened anew
  bool fresh_ = false;                 // the connection: the peer is to be woken for what lies there already
  message_header* writing_ = nullptr;  // what alloc() gave
  std::size_t writing_size_ = 0;       // of its body
  message front_;
  bool has_front_ = false;
  small_message small_;

  // The CTL thread's.
  os::unique_fd beside_;  // the socket beside shared memory
  std::optional<ending> beside_over_;
  std::atomic<bool> peer_ended_{false};  // said so there; pairs with: end_look
};

}  // namespace ferry::compat::tcpshm
