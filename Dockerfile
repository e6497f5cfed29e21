# The tap and its loader: make dist && docker build -t tap-analytics .
# docker run --rm --env-file .env tap-analytics --config ENV --test
FROM python:3.13-slim
ENV PIP_NO_CACHE_DIR=1
COPY constraints.txt dist/*.whl /install/
RUN pip install --constraint /install/constraints.txt --find-links /install/ "tap-analytics[postgres]"
USER 65534:65534
WORKDIR /tmp
ENTRYPOINT ["tap-analytics"]
