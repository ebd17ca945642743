#define _GNU_SOURCE
#include "runtime/base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 511, POLL_MOST = 256 };

#ifdef POLLRDHUP
#define PEER_CLOSED POLLRDHUP
#else
#define PEER_CLOSED 0 /* then only a broken connection is seen */
#endif

static int open_at(const struct addrinfo *address) {
    const int one = 1;
    const int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        const int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                               : ((const struct sockaddr_in *)&address)->sin_port);
}

rr_status rr_socket_listen(const char *host, uint16_t *port, int *out, rr_diag *diag) {
    struct addrinfo hints, *found = NULL;
    char service[8];
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    snprintf(service, sizeof service, "%u", *port);
    const int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0) {
        return rr_fail(diag, RR_E_USAGE, "host \"%s\": %s", host, gai_strerror(error));
    }
    int fd = -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = open_at(at);
    }
    const int reason = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        return rr_fail(
            diag, RR_E_IO, "cannot listen at %s, port %u: %s", host, *port, strerror(reason));
    }
    *port = port_of(fd);
    *out = fd;
    return RR_OK;
}

void rr_socket_close(int socket) {
    close(socket);
}

void rr_socket_peer(int socket, char *out, size_t room) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    if (getpeername(socket, (struct sockaddr *)&address, &bytes) != 0 ||
        getnameinfo((struct sockaddr *)&address, bytes, out, (socklen_t)room, NULL, 0,
            NI_NUMERICHOST) != 0) {
        out[0] = '\0';
    }
}

void rr_socket_find_gone(const int *sockets, size_t n, bool *gone) {
    struct pollfd polled[POLL_MOST];
    for (size_t begin = 0; begin < n; begin += POLL_MOST) {
        const size_t count = n - begin < POLL_MOST ? n - begin : POLL_MOST;
        for (size_t i = 0; i < count; i++) {
            polled[i] = (struct pollfd){.fd = sockets[begin + i], .events = PEER_CLOSED};
        }
        const int found = poll(polled, (nfds_t)count, 0);
        for (size_t i = 0; i < count; i++) {
            gone[begin + i] = found > 0 &&
                (polled[i].revents & (PEER_CLOSED | POLLHUP | POLLERR | POLLNVAL)) != 0;
        }
    }
}
