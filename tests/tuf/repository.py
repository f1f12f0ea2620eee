"""A TUF repository with real keys, whose every file can be replaced by an attacker."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

TOP = ("root", "timestamp", "snapshot", "targets")
IMAGE = b"firmware of a plug" * 100

type Handler = Callable[[web.Request], Any]


def release(manufacturer: str = "Acme", version: str = "1.2.0", **more: Any) -> dict[str, Any]:
    """Return what a maker writes into the custom of a target."""
    return {"match": {"manufacturer": manufacturer, "model": ["PLUG-S1"]}, "version": version} | more


class Repository:
    """What its keepers do; `files` is what the world sees of it."""

    def __init__(self, *, consistent: bool = True, hashes: bool = True) -> None:
        self.consistent = consistent
        self.hashes = hashes
        self.lifetime = timedelta(days=30)
        self.files: dict[str, bytes | Handler] = {}
        self.asked: list[str] = []
        self._published: set[int] = set()
        self.signers: dict[str, list[CryptoSigner]] = {role: [new_key()] for role in TOP}
        self.root = Root(consistent_snapshot=consistent)
        for role in TOP:
            self.root.add_key(self.signers[role][0].public_key, role)
        self.timestamp = Timestamp()
        self.snapshot = Snapshot()
        self.targets: dict[str, Targets] = {"targets": Targets()}
        self.publish_root()
        self.first_root = self.root_file(1)

    # --- what keepers do ---------------------------------------------------------------------------------------------

    def add(self, path: str, content: bytes = IMAGE, *, role: str = "targets", custom: Any = None) -> None:
        info = TargetFile.from_data(path, content, ["sha256", "sha512"])
        if custom is not None:
            info.unrecognized_fields["custom"] = custom
        self.targets[role].targets[path] = info
        folder, slash, name = path.rpartition("/")
        prefix = f"{hashlib.sha256(content).hexdigest()}." if self.consistent else ""
        self.files[f"{folder}{slash}{prefix}{name}"] = content

    def delegate(
        self, name: str, paths: Iterable[str] | None, *, parent: str = "targets", terminating: bool = True
    ) -> None:
        self.signers[name] = [new_key()]
        key = self.signers[name][0].public_key
        role = DelegatedRole(name, [], 1, terminating, None if paths is None else list(paths), prefixes(paths))
        delegations = self.targets[parent].delegations or Delegations({}, {})
        assert delegations.roles is not None
        delegations.roles[name] = role
        self.targets[parent].delegations = delegations
        self.targets[parent].add_key(key, name)
        self.targets[name] = Targets()

    def publish(self) -> None:
        """Sign everything anew, each in a later version."""
        for name, targets in self.targets.items():
            self._bump(targets)
            self._write(name, targets, targets.version)
            self.snapshot.meta[f"{name}.json"] = self._meta(self.file_of(name, targets.version), targets.version)
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        self._bump(self.snapshot)
        self._write("snapshot", self.snapshot, self.snapshot.version)
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self._bump(self.timestamp)
        file = self.file_of("snapshot", self.snapshot.version)
        self.timestamp.snapshot_meta = self._meta(file, self.snapshot.version)
        self.files["timestamp.json"] = self.sign("timestamp", self.timestamp)

    def publish_root(self, *more: Signer) -> None:
        """Publish the root in its version, signed by its keys and by more."""
        self.root.expires = self._expiry()
        self.files[f"{self.root.version}.root.json"] = self.sign("root", self.root, *more)

    def rotate(self, *roles: str) -> None:
        """Give roles new keys under a new root, which the old and the new keys of the root sign."""
        before = list(self.signers["root"])
        self.root.version += 1
        for role in roles:
            for old in self.signers[role]:
                self.root.revoke_key(old.public_key.keyid, role)
            self.signers[role] = [new_key()]
            self.root.add_key(self.signers[role][0].public_key, role)
        self.publish_root(*(signer for signer in before if signer not in self.signers["root"]))

    # --- what attackers do -------------------------------------------------------------------------------------------

    def seen(self) -> dict[str, bytes | Handler]:
        """Return all that the world sees now, to be played again later."""
        return dict(self.files)

    def play(self, *names: str, out_of: dict[str, bytes | Handler]) -> None:
        self.files.update({name: out_of[name] for name in names})

    # --- its files ---------------------------------------------------------------------------------------------------

    def sign(self, role: str, signed: Any, *more: Signer, signers: Iterable[Signer] | None = None) -> bytes:
        metadata = Metadata(copy.deepcopy(signed))
        for signer in (*(self.signers[role] if signers is None else signers), *more):
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def file_of(self, role: str, version: int) -> bytes:
        found = self.files[self.name_of(role, version)]
        assert isinstance(found, bytes)
        return found

    def root_file(self, version: int) -> str:
        found = self.files[f"{version}.root.json"]
        assert isinstance(found, bytes)
        return found.decode()

    def name_of(self, role: str, version: int) -> str:
        return f"{version}.{role}.json" if self.consistent else f"{role}.json"

    def _write(self, role: str, signed: Any, version: int) -> None:
        self.files[self.name_of(role, version)] = self.sign(role, signed)

    def _bump(self, signed: Any) -> None:
        """Give what was published before its next version."""
        if id(signed) in self._published:
            signed.version += 1
        self._published.add(id(signed))
        signed.expires = self._expiry()

    def _expiry(self) -> datetime:
        return (datetime.now(UTC) + self.lifetime).replace(microsecond=0)

    def _meta(self, data: bytes | Handler, version: int) -> MetaFile:
        assert isinstance(data, bytes)
        return MetaFile.from_data(version, data, ["sha256"]) if self.hashes else MetaFile(version)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(name)
        found = self.files.get(name)
        if found is None:
            raise web.HTTPNotFound
        if isinstance(found, bytes):
            return web.Response(body=found)
        response: web.StreamResponse = await found(request)
        return response


def prefixes(paths: Iterable[str] | None) -> list[str] | None:
    """Return hash prefixes for a role that has no paths."""
    return None if paths is not None else ["00"]


def new_key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()
