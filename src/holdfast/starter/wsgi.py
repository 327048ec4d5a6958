"""The API for a WSGI server: `gunicorn wsgi:app`, `granian --interface wsgi wsgi:app`, mod_wsgi."""

from holdfast.web import create_app
from holdfast.workspace import Workspace, folder_of

app = create_app(Workspace.open(folder_of(__file__)))
