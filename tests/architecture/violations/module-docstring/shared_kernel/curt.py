"""Loans"""
