#pragma once
/// The connected sockets of one io_context, watched together: Asio waits for one descriptor of the kernel's event list
/// that holds them all, so a wait costs no system call for each socket, and no memory of Asio's.

#include <ferry/error.hpp>

#include <sys/epoll.h>

#include <array>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <memory>

#include "net/handler_place.hpp"
#include "net/turn_buffers.hpp"
#include "os/unique_fd.hpp"

namespace ferry::net {

/// One for each io_context: boost::asio::use_service. On the thread that turns it.
class socket_poll final : public boost::asio::execution_context::service {
 public:
  using key_type = socket_poll;
  inline static boost::asio::execution_context::id id;

  /// Whose socket it is. Its address must not change while the socket is watched.
  class entry {
   public:
    /// Something has changed: told once (EPOLLET), whether anybody waits or not. @param what  EPOLLIN, EPOLLRDHUP, ...
    virtual void on_ready(std::uint32_t what) = 0;
    /// That comes next but one: who is told of it will be asked for. @param next  it comes next: so will who is told
    /// then
    virtual void expect(bool next) const noexcept = 0;

   protected:
    ~entry() = default;
  };

  explicit socket_poll(boost::asio::execution_context& io)
      : service(io), watch_(static_cast<boost::asio::io_context&>(io)) {}

  [[nodiscard]] boost::asio::io_context& io() noexcept { return watch_.get_executor().context(); }
  /// For who is told of something; until the turn is over.
  [[nodiscard]] turn_buffers& buffers() noexcept { return buffers_; }

  /// Watches a socket for bytes and the peer's end. What is there already is told too.
  /// @return what the kernel says
  [[nodiscard]] result<void> add(int fd, entry& whose);
  /// For room to write as well, from now on; tells at once if there is room.
  [[nodiscard]] result<void> watch_room(int fd, entry& whose);
  /// No more is told from now on; before the descriptor is closed.
  void remove(int fd, const entry& whose) noexcept;

  [[nodiscard]] auto executor() noexcept { return watch_.get_executor(); }

  /// Keeps what it is given alive until the socket that is being told of has been dealt with. So who is told can be
  /// called last, and nobody on the way to it has anything left to do. @return false: none is, or it keeps enough
  [[nodiscard]] bool keep(const std::shared_ptr<void>& what) noexcept {
    if (telling_ == nullptr || telling_->count == telling_->kept.size()) return false;
    telling_->kept[telling_->count++] = what;
    return true;
  }

  /// Somebody waits for something to be told: the io_context has work. Each is ended by one end_wait().
  void begin_wait() noexcept {
    waits_ += 1;
    if (!armed_ && !posted_) arm();
  }
  void end_wait() noexcept {
    waits_ -= 1;
    if (waits_ == 0 && armed_) stop_waiting();
  }

 private:
  struct rest;
  struct telling {
    std::array<std::shared_ptr<void>, 3> kept;
    std::size_t count = 0;
  };
  void shutdown() noexcept override;
  void arm() noexcept;
  void stop_waiting() noexcept;
  void turn();
  void turn_soon() noexcept;
  void look();
  void tell(telling& now);
  void expect_next() const noexcept;

  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> watch_;  // owns the event list
  std::size_t waits_ = 0;
  bool armed_ = false;   // Asio waits
  bool posted_ = false;  // a turn comes by itself
  handler_place waiting_, soon_;
  turn_buffers buffers_;
  // Of the turn that is under way: told up to next_.
  std::array<epoll_event, 128> events_{};
  std::size_t next_ = 0, count_ = 0;
  std::size_t watched_ = 0;     // sockets
  telling* telling_ = nullptr;  // of the innermost turn
};

}  // namespace ferry::net
