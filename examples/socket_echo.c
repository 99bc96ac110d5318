/* An echo server and its client in C, over the sockets of libferry_socket.
 *
 *   example_socket_echo server tcp 127.0.0.1 0        prints the port, serves until its peer has ended
 *   example_socket_echo client tcp 127.0.0.1 PORT hello world
 *   example_socket_echo server ipc /run/user/1000/echo.sock
 */
#include <ferry/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char* what) {
  fprintf(stderr, "%s: %s: %s\n", what, ferry_errname(ferry_errno), ferry_error_text());
  return 1;
}

static int server(int sid, const struct ferry_address* at) {
  static char buffer[1 << 16];
  struct ferry_address here;
  struct ferry_message_info info;
  int peer;
  int64_t size;
  if (ferry_bind(sid, at) < 0 || ferry_listen(sid, 0) < 0) return failed("listen");
  if (ferry_getsockname(sid, &here) < 0) return failed("getsockname");
  printf("listening on %s %u\n", here.path[0] != '\0' ? here.path : here.host, (unsigned)here.port);
  fflush(stdout);
  peer = ferry_accept(sid, NULL);
  if (peer < 0) return failed("accept");
  while ((size = ferry_recvmsg(peer, buffer, sizeof buffer, 0, &info)) >= 0 && (info.flags & FERRY_MSG_END) == 0) {
    if (ferry_send(peer, buffer, (size_t)size, info.flags & FERRY_MSG_TEXT) < 0) return failed("send");
  }
  if (size < 0) return failed("recv");
  if (ferry_close(peer) < 0 || ferry_close(sid) < 0) return failed("close");
  return 0;
}

static int client(int sid, const struct ferry_address* at, int count, char** words) {
  char buffer[1 << 10];
  int i;
  if (ferry_connect(sid, at) < 0) return failed("connect");
  for (i = 0; i < count; ++i) {
    int64_t size;
    if (ferry_send(sid, words[i], strlen(words[i]), FERRY_MSG_TEXT) < 0) return failed("send");
    size = ferry_recv(sid, buffer, sizeof buffer, 0);
    if (size < 0) return failed("recv");
    printf("%.*s\n", (int)size, buffer);
  }
  if (ferry_close(sid) < 0) return failed("close");
  return 0;
}

int main(int argc, char** argv) {
  struct ferry_address at;
  const int is_ipc = argc > 2 && strcmp(argv[2], "ipc") == 0;
  const int rest = is_ipc ? 4 : 5;
  int sid;
  if (argc < rest || (strcmp(argv[1], "server") != 0 && strcmp(argv[1], "client") != 0)) {
    fprintf(stderr, "usage: %s server|client tcp HOST PORT [WORD ...]\n       %s server|client ipc PATH [WORD ...]\n",
            argv[0], argv[0]);
    return 2;
  }
  memset(&at, 0, sizeof at);
  if (is_ipc) {
    at.family = FERRY_AF_LOCAL;
    strncpy(at.path, argv[3], sizeof at.path - 1);
  } else {
    strncpy(at.host, argv[3], sizeof at.host - 1);
    at.port = (uint16_t)strtoul(argv[4], NULL, 10);
  }
  sid = ferry_socket(at.family, FERRY_SOCK_MESSAGE, is_ipc ? FERRY_IPC : FERRY_TCP);
  if (sid < 0) return failed("socket");
  return strcmp(argv[1], "server") == 0 ? server(sid, &at) : client(sid, &at, argc - rest, argv + rest);
}
