/* A V4L2 driver for tests, to be loaded before libc: the file that FAKE_CAMERA names is a camera. It gives YUYV pictures
 * of 64x48 up to 1920x1080 at 25 frames/s, each brighter than the one before, and does what FFmpeg asks of a driver.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 4, PAGE = 4096, MOST = 256 };

static int camera = -1;
static unsigned width = 640, height = 480, length, queue[MOST], first, last, shown;
static unsigned numerator = 1, denominator = 25;

static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_close)(int);

__attribute__((constructor)) static void find(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    real_close = dlsym(RTLD_NEXT, "close");
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *fake = getenv("FAKE_CAMERA");
    if (fake == NULL || strcmp(path, fake) != 0)
        return real_open(path, flags, mode);
    if (camera >= 0) {
        errno = EBUSY;
        return -1;
    }
    return camera = memfd_create("camera", MFD_CLOEXEC);
}

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return opened(path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd == camera)
        camera = -1;
    return real_close(fd);
}

static void describe(struct v4l2_pix_format *format) {
    *format = (struct v4l2_pix_format){
        .width = width,
        .height = height,
        .pixelformat = V4L2_PIX_FMT_YUYV,
        .field = V4L2_FIELD_NONE,
        .bytesperline = 2 * width,
        .sizeimage = 2 * width * height,
        .colorspace = V4L2_COLORSPACE_SRGB,
    };
}

static int buffer_of(struct v4l2_buffer *buffer) {
    if (buffer->index >= BUFFERS) {
        errno = EINVAL;
        return -1;
    }
    buffer->memory = V4L2_MEMORY_MMAP;
    buffer->length = length;
    buffer->m.offset = buffer->index * length;
    return 0;
}

/* Waits for the next picture as a camera does, and gives it in the buffer that was handed in first. */
static int next(struct v4l2_buffer *buffer) {
    long pause = 1000000000L / denominator * numerator;
    nanosleep(&(struct timespec){pause / 1000000000L, pause % 1000000000L}, NULL);
    if (first == last) {
        errno = EIO;
        return -1;
    }
    buffer->index = queue[first++ % MOST];
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->field = V4L2_FIELD_NONE;
    buffer->sequence = shown;
    buffer->bytesused = 2 * width * height;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    buffer->timestamp.tv_sec = now.tv_sec;
    buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    unsigned char *picture = malloc(buffer->bytesused);
    memset(picture, 128, buffer->bytesused);
    for (unsigned at = 0; at < buffer->bytesused; at += 2)
        picture[at] = 16 + 8 * (shown % 25);
    ssize_t written = pwrite(camera, picture, buffer->bytesused, (off_t)buffer->index * length);
    free(picture);
    shown++;
    return written == (ssize_t)buffer->bytesused ? buffer_of(buffer) : -1;
}

static int answer(unsigned long request, void *data) {
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *found = data;
        memset(found, 0, sizeof *found);
        strcpy((char *)found->driver, "fake");
        strcpy((char *)found->card, "fake camera");
        found->capabilities = found->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_G_INPUT:
        *(int *)data = 0;
        return 0;
    case VIDIOC_S_INPUT:
        return 0;
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = data;
        if (input->index != 0)
            break;
        memset(input, 0, sizeof *input);
        strcpy((char *)input->name, "camera");
        input->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *rate = data;
        struct v4l2_fract *asked = &rate->parm.capture.timeperframe;
        if (request == VIDIOC_S_PARM && asked->numerator && asked->denominator) {
            numerator = asked->numerator;
            denominator = asked->denominator;
        }
        rate->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        *asked = (struct v4l2_fract){numerator, denominator};
        return 0;
    }
    case VIDIOC_S_FMT: {
        struct v4l2_pix_format *format = &((struct v4l2_format *)data)->fmt.pix;
        width = format->width < 64 ? 64 : format->width > 1920 ? 1920 : format->width & ~1u;
        height = format->height < 48 ? 48 : format->height > 1080 ? 1080 : format->height;
        describe(format);
        return 0;
    }
    case VIDIOC_G_FMT:
        describe(&((struct v4l2_format *)data)->fmt.pix);
        return 0;
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = data;
        length = (2 * width * height + PAGE - 1) / PAGE * PAGE;
        wanted->count = wanted->count ? BUFFERS : 0;
        first = last = 0;
        return ftruncate(camera, (off_t)BUFFERS * length);
    }
    case VIDIOC_QUERYBUF:
        return buffer_of(data);
    case VIDIOC_QBUF:
        queue[last++ % MOST] = ((struct v4l2_buffer *)data)->index;
        return 0;
    case VIDIOC_DQBUF:
        return next(data);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return 0;
    }
    errno = EINVAL;
    return -1;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *data = va_arg(more, void *);
    va_end(more);
    if (fd < 0 || fd != camera)
        return real_ioctl(fd, request, data);
    /* callers that have the number in an int extend its sign */
    return answer(request & 0xffffffffUL, data);
}
