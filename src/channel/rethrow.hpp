#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

namespace ferry::detail {

/// What a handler of the application threw leaves the event loop by itself, from a turn of its own: what was under way
/// when the handler was called is not cut off in the middle. Thread safety: any thread.
inline void rethrow_from(boost::asio::io_context& loop, std::exception_ptr what) {
  boost::asio::post(loop, [what = std::move(what)] { std::rethrow_exception(what); });
}

}  // namespace ferry::detail
