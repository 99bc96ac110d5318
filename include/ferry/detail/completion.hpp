#pragma once
/// A completion handler of any type, kept until its operation ends.

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>

namespace ferry::detail {

/// Called at most once, always through the handler's own executor and never from inside the call that made it. While it
/// is kept, the io_context has work.
template <class... Args>
class completion {
 public:
  completion() noexcept = default;
  template <class Handler>
  completion(boost::asio::io_context::executor_type io, Handler handler)
      : held_(holder<Handler>::make(io, std::move(handler))) {}
  completion(completion&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  completion& operator=(completion&& other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~completion() {
    if (held_ != nullptr) held_->drop();
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }
  void operator()(Args... args) { std::exchange(held_, nullptr)->post(std::move(args)...); }

  /// Calls `cancel` when the handler's cancellation slot is told to. The slot is cleared when the operation completes.
  void on_cancel(std::function<void()> cancel) { held_->on_cancel(std::move(cancel)); }

 private:
  struct base {
    virtual void post(Args... args) = 0;
    virtual void drop() noexcept = 0;
    virtual void on_cancel(std::function<void()> cancel) = 0;

   protected:
    ~base() = default;
  };

  template <class Handler>
  struct holder final : base {
    using executor = boost::asio::associated_executor_t<Handler, boost::asio::io_context::executor_type>;
    using work =
        decltype(boost::asio::prefer(std::declval<executor>(), boost::asio::execution::outstanding_work.tracked));
    using io_work = decltype(boost::asio::prefer(std::declval<boost::asio::io_context::executor_type>(),
                                                 boost::asio::execution::outstanding_work.tracked));
    using allocator = typename std::allocator_traits<boost::asio::associated_allocator_t<
        Handler, boost::asio::recycling_allocator<void>>>::template rebind_alloc<holder>;

    holder(boost::asio::io_context::executor_type io, Handler&& handler_)
        : handler(std::move(handler_)),
          io_guard(boost::asio::prefer(io, boost::asio::execution::outstanding_work.tracked)),
          guard(boost::asio::prefer(boost::asio::get_associated_executor(handler, io),
                                    boost::asio::execution::outstanding_work.tracked)) {}

    static base* make(boost::asio::io_context::executor_type io, Handler&& handler) {
      allocator alloc(boost::asio::get_associated_allocator(handler, boost::asio::recycling_allocator<void>()));
      holder* made = std::allocator_traits<allocator>::allocate(alloc, 1);
      try {
        return new (made) holder(io, std::move(handler));
      } catch (...) {
        std::allocator_traits<allocator>::deallocate(alloc, made, 1);
        throw;
      }
    }

    void post(Args... args) override {
      if (auto slot = boost::asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
      Handler taken = std::move(handler);
      const auto on = guard;
      free(taken);
      boost::asio::post(on, bound<Handler, Args...>{std::move(taken), std::tuple<Args...>(std::move(args)...)});
    }

    void drop() noexcept override {
      Handler taken = std::move(handler);
      free(taken);
    }

    void on_cancel(std::function<void()> cancel) override {
      auto slot = boost::asio::get_associated_cancellation_slot(handler);
      if (!slot.is_connected()) return;
      slot.assign([cancel = std::move(cancel)](boost::asio::cancellation_type wanted) {
        if (wanted != boost::asio::cancellation_type::none) cancel();
      });
    }

    // The memory goes back before the handler runs, so that the operation it starts next can have it again.
    void free(const Handler& of) noexcept {
      allocator alloc(boost::asio::get_associated_allocator(of, boost::asio::recycling_allocator<void>()));
      this->~holder();
      std::allocator_traits<allocator>::deallocate(alloc, this, 1);
    }

    Handler handler;
    io_work io_guard;
    work guard;
  };

  template <class Handler, class... Values>
  struct bound {
    Handler handler;
    std::tuple<Values...> values;
    using allocator_type = boost::asio::associated_allocator_t<Handler, boost::asio::recycling_allocator<void>>;
    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return boost::asio::get_associated_allocator(handler, boost::asio::recycling_allocator<void>());
    }
    void operator()() { std::apply(std::move(handler), std::move(values)); }
  };

  base* held_ = nullptr;
};

}  // namespace ferry::detail
